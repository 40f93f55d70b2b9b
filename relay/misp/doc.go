// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package misp turns events of the MISP core format into STIX 2.1 objects and
// back, and reads feeds: a directory with manifest.json and one file for each event.
//
// It promises that a marking never gets weaker: the strictest of the TLP tags and
// distribution levels of an event, an object and an attribute is that of what they
// become, an unknown TLP tag and a sharing group count as RED, and what carries no
// marking becomes an object without one, never one that is CLEAR. It promises that the
// same event gives the same objects, byte for byte, so that reading it again adds
// nothing; that a changed marking is a new version; and that what cannot be converted is
// counted by reason: nothing is dropped in silence.
//
// Memory does not grow with the number of attributes: an event is kept compressed
// until its last byte was seen, for tags of the whole event may stand behind its
// attributes. Lengths, depths and counts are bounded, and one bad attribute costs the
// others nothing.
//
// It fetches nothing by itself and stores nothing: the caller of Feed does.
package misp
