// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package territory tells from whose territory an object appears to emanate.
//
// It answers with evidence, never with a verdict about who did something: where
// registries delegated an address, where publishers locate it, which autonomous
// system announces it and where that is registered, each with the name and the date
// of the data set. "Appears to emanate" is all that it says.
//
// It promises that an Atlas does not change, that Look and Emanates are pure
// functions of the atlas, the object, the area and the terms, that an Atlas's Digest
// changes with everything they depend on, and that what no data set and no list of
// the area knows never emanates from anybody. Nothing is asked of a network on
// behalf of an object: no name is resolved, and no lookup leaves the process.
//
// A Keeper reads the data sets: files when they change, others when they are due. A
// data set that cannot be used leaves the last good one in force, and is reported.
//
//	object ── clue.Find ──► values ── Atlas.Look ──► Evidence ── Emanates(area, terms) ──► yes or no, and a reason
package territory
