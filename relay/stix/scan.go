// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

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
	for i, c := range b {
		if s.quoted {
			s.inString(c)
			if s.finished {
				return i + 1
			}
			continue
		}
		switch c {
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

func (s *scanner) inString(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.quoted = false
		s.finished = s.depth == 0
	}
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
