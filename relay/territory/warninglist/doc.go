// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package warninglist reads warning lists in the format of MISP and tells which list
// a value stands on: the addresses of content networks, of resolvers, of scanners,
// the names that everybody visits. What stands on one tells nothing about territory.
//
// It promises that an Index does not change, that it answers for all lists at once in
// a time that does not grow with the length of hostname, string and cidr lists, and
// that substrings and regular expressions, for which it does, are few.
// Regular expressions are those of RE2, whose time is linear.
package warninglist
