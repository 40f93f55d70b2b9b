// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Bounds of an event.
const (
	// MaxEventBytes is the longest event, and maxSpoolBytes what it may need compressed.
	MaxEventBytes = 256 << 20
	maxSpoolBytes = 64 << 20
	// maxElementBytes is the longest attribute or object with all that it holds, and
	// maxMemberBytes the longest other member of an event.
	maxElementBytes = 2 << 20
	maxMemberBytes  = 4 << 20
	// maxDepth is the deepest nesting of an element.
	maxDepth = 24
	// MaxElements is the largest number of attributes and objects of an event.
	MaxElements = 1_000_000
)

var (
	// ErrFormat: what was read is not an event, or not a manifest, of the MISP core format.
	ErrFormat = errors.New("not the MISP core format")
	// ErrTooLarge: it is beyond the bounds of this package.
	ErrTooLarge = errors.New("too large")
)

// scanner walks through JSON text by its brackets, quotes and commas. The grammar of
// single values is checked when they are decoded.
type scanner struct {
	src *bufio.Reader
	buf []byte
}

func newScanner(r io.Reader) *scanner { return &scanner{src: bufio.NewReaderSize(r, 64<<10)} }

// peek goes over white space and returns the next byte, unread.
func (s *scanner) peek() (byte, error) {
	for {
		c, err := s.src.ReadByte()
		if err != nil {
			return 0, ended(err)
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c, s.src.UnreadByte()
		}
	}
}

// ended makes an end of the input an error of the format.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends too early: %w", ErrFormat, io.ErrUnexpectedEOF)
	}
	return err
}

func (s *scanner) expect(want byte) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != want {
		return fmt.Errorf("%w: %q instead of %q", ErrFormat, c, want)
	}
	_, err = s.src.ReadByte()
	return err
}

// next goes to the next member or element: over the comma before it, unless it is
// the first. done is true when the closing bracket was there instead, which is read.
func (s *scanner) next(closing byte, first bool) (done bool, err error) {
	c, err := s.peek()
	if err != nil {
		return false, err
	}
	switch {
	case c == closing:
		_, err = s.src.ReadByte()
		return true, err
	case first:
		return false, nil
	}
	return false, s.expect(',')
}

// extent follows a value to its end.
type extent struct {
	depth, deepest  int
	quoted, escaped bool
	// scalar: it is a number or a word, which ends before what delimits it.
	scalar bool
}

func (e *extent) add(c byte) {
	switch {
	case e.escaped:
		e.escaped = false
	case e.quoted && c == '\\':
		e.escaped = true
	case c == '"':
		e.quoted = !e.quoted
	case e.quoted:
	case c == '{', c == '[':
		e.depth++
		e.deepest = max(e.deepest, e.depth)
	case c == '}', c == ']':
		e.depth--
	default:
		e.scalar = e.depth == 0
	}
}

// over tells whether the value has ended with what was added last.
func (e *extent) over() bool { return e.depth <= 0 && !e.quoted && !e.scalar }

// endsBefore tells whether the value has ended before c.
func (e *extent) endsBefore(c byte) bool { return e.scalar && e.depth == 0 && !e.quoted && delimits(c) }

// value reads one value whole. The bytes stand until the next call. One that is longer
// than longest or nested too deep is read to its end, and the error is ErrTooLarge.
func (s *scanner) value(longest int) ([]byte, error) {
	if _, err := s.peek(); err != nil {
		return nil, err
	}
	s.buf = s.buf[:0]
	var e extent
	for length := 0; length == 0 || !e.over(); length++ {
		c, err := s.src.ReadByte()
		if err != nil {
			return nil, ended(err)
		}
		if e.endsBefore(c) {
			if err := s.src.UnreadByte(); err != nil {
				return nil, err
			}
			break
		}
		if len(s.buf) <= longest {
			s.buf = append(s.buf, c)
		}
		e.add(c)
	}
	switch {
	case e.depth < 0:
		return nil, fmt.Errorf("%w: a bracket closes that was not open", ErrFormat)
	case len(s.buf) > longest, e.deepest > maxDepth:
		return nil, ErrTooLarge
	}
	return s.buf, nil
}

func delimits(c byte) bool {
	switch c {
	case ',', ']', '}', ' ', '\t', '\r', '\n', ':':
		return true
	}
	return false
}

// name reads the name of a member and the colon behind it.
func (s *scanner) name() (string, error) {
	raw, err := s.value(1 << 10)
	if err != nil {
		return "", err
	}
	var name string
	if err := unmarshal(raw, &name); err != nil {
		return "", err
	}
	return name, s.expect(':')
}
