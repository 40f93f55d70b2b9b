// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package clue finds what an object names that may have a territory: addresses,
// networks, numbers of autonomous systems, and names of hosts.
//
// It promises to look at an object as package stix accepted it and at nothing else:
// no reference is followed and no name is resolved. What it does not understand
// about addresses it says so (Undecidable), so that a negation, a wildcard or
// another pattern language never counts as evidence. Of bytes that package stix did
// not accept it finds something or nothing, but never fails and never takes longer
// than their length allows.
package clue
