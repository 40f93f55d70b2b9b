// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import "bytes"

// scanner finds the end of one JSON value by its brackets and quotes alone. It
// checks no grammar: what it delimits is checked by itself afterwards, so that
// one bad value does not spoil its neighbours. It needs no stack, whatever the depth.
type scanner struct {
	depth, deepest   int
	quoted, escaped  bool
	scalar, finished bool
}

// scan goes on in b and returns how many of its bytes belong to the value.
// finished tells whether the value ends there.
func (s *scanner) scan(b []byte) int {
	for i := 0; i < len(b); i++ {
		if s.quoted {
			i += s.inString(b[i:])
			if s.finished {
				return i
			}
			i--
			continue
		}
		switch b[i] {
		case '"':
			if s.scalar {
				s.finished = true
				return i
			}
			s.quoted = true
		case '{', '[':
			if s.scalar {
				s.finished = true
				return i
			}
			s.depth++
			s.deepest = max(s.deepest, s.depth)
		case '}', ']':
			if s.depth == 0 {
				s.finished = true
				return i
			}
			s.depth--
			if s.depth == 0 {
				s.finished = true
				return i + 1
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if s.depth == 0 {
				s.finished = true
				return i
			}
		default:
			s.scalar = s.depth == 0
		}
	}
	return len(b)
}

// inString goes on in a string and returns how many bytes belong to it, its closing
// quote included. Most of an object is strings, and most strings have no escape.
func (s *scanner) inString(b []byte) int {
	n := 0
	if s.escaped && len(b) > 0 {
		s.escaped = false
		n = 1
	}
	for n < len(b) {
		// What is looked through here is not looked through again.
		quote := bytes.IndexByte(b[n:], '"')
		end := n + quote
		if quote < 0 {
			end = len(b)
		}
		for n < end {
			escape := bytes.IndexByte(b[n:end], '\\')
			if escape < 0 {
				break
			}
			n += escape + 2
		}
		switch {
		case n > len(b):
			s.escaped = true
			return len(b)
		case n > end: // the quote is escaped
		case quote < 0:
			return len(b)
		default:
			s.quoted = false
			s.finished = s.depth == 0
			return end + 1
		}
	}
	return len(b)
}

// depth is that of the deepest nesting in the bytes.
func depth(raw []byte) int {
	var s scanner
	for len(raw) > 0 {
		n := s.scan(raw)
		// More than one value is a fault that the parser finds.
		raw = raw[min(max(n, 1), len(raw)):]
		s = scanner{deepest: s.deepest, depth: s.depth, quoted: s.quoted, escaped: s.escaped}
	}
	return s.deepest
}
