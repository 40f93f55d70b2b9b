// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package geo reads databases in the MaxMind DB format, of MaxMind and of other
// publishers: where networks are, and which autonomous systems announce them.
//
// It promises to read a database to its end and to keep tables of its own (package
// span) and nothing of the file: what a file holds cannot do harm later, and a table
// takes less memory than the file. A file whose search tree leads round in circles,
// or to more networks than maxNetworks, is refused before it is walked.
package geo
