// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"errors"
	"fmt"
	"io"
)

// window is the part of an input that is in memory.
type window struct {
	src io.Reader
	// buf[pos:end] is unread; gone counts the bytes before buf.
	buf      []byte
	pos, end int
	gone     int64
	// ended: the source said io.EOF, nothing follows.
	ended bool
}

const firstWindow = 64 << 10

func (w *window) offset() int64 { return w.gone + int64(w.pos) }

// peek goes over white space and returns the next byte, unread.
func (w *window) peek() (byte, error) {
	for {
		for ; w.pos < w.end; w.pos++ {
			switch c := w.buf[w.pos]; c {
			case ' ', '\t', '\r', '\n':
			default:
				return c, nil
			}
		}
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
}

// fill reads more behind the unread bytes, which may move.
func (w *window) fill() error {
	if w.pos > 0 {
		w.gone += int64(w.pos)
		copy(w.buf, w.buf[w.pos:w.end])
		w.end -= w.pos
		w.pos = 0
	}
	if w.end == len(w.buf) {
		w.buf = append(w.buf, make([]byte, max(firstWindow, len(w.buf)))...)
	}
	for range 100 {
		n, err := w.src.Read(w.buf[w.end:])
		w.end += n
		switch {
		case n > 0:
			return nil
		case errors.Is(err, io.EOF):
			w.ended = true
			return fmt.Errorf("%w: it ends at byte %d: %w", ErrContainer, w.gone+int64(w.end), io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("reading objects: %w", err)
		}
	}
	return fmt.Errorf("reading objects: %w", io.ErrNoProgress)
}

// value reads one value and tells how deep it is. The bytes stand until the next
// call. Of one that is longer than longest nothing is kept: it is read to its
// end, and the error is ErrTooLarge.
func (w *window) value(longest int) (raw []byte, deepest int, err error) {
	if _, err := w.peek(); err != nil {
		return nil, 0, err
	}
	var s scanner
	size, tooLarge := 0, false
	for {
		n := s.scan(w.buf[w.pos+size : w.end])
		size += n
		if size > longest {
			tooLarge = true
		}
		if tooLarge {
			w.pos += size
			size = 0
		}
		if s.finished {
			break
		}
		if err := w.fill(); err != nil {
			return nil, 0, err
		}
	}
	if tooLarge {
		return nil, s.deepest, ErrTooLarge
	}
	if size == 0 {
		return nil, 0, fmt.Errorf("%w: a value is missing at byte %d", ErrContainer, w.offset())
	}
	raw = w.buf[w.pos : w.pos+size]
	w.pos += size
	return raw, s.deepest, nil
}
