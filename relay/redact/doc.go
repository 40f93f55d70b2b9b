// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package redact leaves out of STIX objects what may not leave with them: named
// top-level properties, and who the victims are.
//
// It promises that Apply is a pure function of a Policy, the bytes and the answer
// whether the object is a victim's identity: the same object leaves as the same bytes
// each time. What stays keeps its bytes and its order. Identifiers, references
// between objects and TLP markings always stay; a granular marking goes with the
// property that it selects. An object that lost something says so in an extension
// (Extension), so that nobody takes it for another edition by its author. It names what STIX
// defines, and counts what is the author's own: such a name can be a secret itself.
//
// A translation of what is left out does not leave at all (Withholds).
//
// It does not decide whether an object may leave (package rule does, on the whole
// object) nor who is a victim (package feed finds out).
package redact
