// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package stix understands the little of STIX 2.1 that the relay must
// understand, and leaves the rest alone.
//
// It promises that an Object from Parse or Reader is one whole JSON object:
// valid syntax and UTF-8, no duplicate names at any depth, at most MaxDepth deep
// and MaxObjectBytes long, with a valid id, a type that agrees with the id, and
// well-formed versions and markings. Its bytes are those that were received.
// What an input may cost is bounded before it is looked at: memory by
// MaxObjectBytes, time by the length of the input.
//
// It does not check the properties of the single STIX types, and it does not
// decide anything: package rule does.
package stix
