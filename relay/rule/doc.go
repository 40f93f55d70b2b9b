// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package rule decides whether an object may leave in a feed.
//
// It promises that deciding is a pure function of a Policy and an object, that
// the Policy's Hash changes with everything the decision depends on, and that
// what is not understood stays: an object leaves only if every one of its
// markings is known and the strictest of them is within the ceiling. An object
// without a TLP marking counts as what its source declares; without a
// declaration it stays.
//
// It does not look anything up and it keeps nothing: package feed does.
package rule
