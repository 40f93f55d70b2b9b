// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package delegation reads the files in which the regional internet registries say
// daily what they delegated: the RIR statistics exchange format, standard and
// extended, of one registry or of all together.
//
// It promises that a Set is a whole file: one that has fewer records than its own
// summary lines say was cut, and is refused. It keeps no line, and what it keeps is
// bounded by MaxRecords.
//
// A country in such a file is where the holder of a range is registered, which need
// not be where the range is used.
package delegation
