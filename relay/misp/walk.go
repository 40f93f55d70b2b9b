// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
)

// spool keeps an event compressed in memory.
type spool struct{ packed bytes.Buffer }

// bounded refuses to hold more than it may.
type bounded struct {
	to   *bytes.Buffer
	most int
}

// Write implements io.Writer.
func (b bounded) Write(p []byte) (int, error) {
	if b.to.Len()+len(p) > b.most {
		return 0, fmt.Errorf("%w: it needs more than %d bytes compressed", ErrTooLarge, b.most)
	}
	return b.to.Write(p)
}

// through returns a reader of src that keeps what is read; finish ends the keeping.
func (s *spool) through(src io.Reader) (r io.Reader, finish func() error, err error) {
	packer, err := flate.NewWriter(bounded{&s.packed, maxSpoolBytes}, flate.BestSpeed)
	if err != nil {
		return nil, nil, fmt.Errorf("keeping event: %w", err)
	}
	return io.TeeReader(&limited{src: src, left: MaxEventBytes}, packer), packer.Close, nil
}

func (s *spool) again() io.Reader { return flate.NewReader(bytes.NewReader(s.packed.Bytes())) }

// limited is an error beyond its limit, where io.LimitReader would be an end.
type limited struct {
	src  io.Reader
	left int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("%w: longer than %d bytes", ErrTooLarge, int64(MaxEventBytes))
	}
	n, err := l.src.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// walk goes through an event: header gets each member that is not a list of elements, and
// element each attribute and object; raw stands until the call returns and is nil for one that is
// too large. The text is {"Event": {…}}, with or without other members beside it.
func walk(r io.Reader, header func(name string, raw []byte) error, element func(list string, raw []byte) error) error {
	s := newScanner(r)
	if err := s.expect('{'); err != nil {
		return err
	}
	found := false
	for first := true; ; first = false {
		done, err := s.next('}', first)
		if err != nil {
			return err
		}
		if done {
			break
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		if name == "Event" {
			if found {
				return fmt.Errorf("%w: there are two events", ErrFormat)
			}
			found = true
			err = s.event(header, element)
		} else {
			_, err = s.skip(maxMemberBytes)
		}
		if err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%w: there is no event", ErrFormat)
	}
	if _, err := s.peek(); !errors.Is(err, io.ErrUnexpectedEOF) {
		if err == nil {
			err = fmt.Errorf("%w: something follows the event", ErrFormat)
		}
		return err
	}
	return nil
}

// skip reads a value; nil for one that is too large.
func (s *scanner) skip(longest int) ([]byte, error) {
	raw, err := s.value(longest)
	if errors.Is(err, ErrTooLarge) {
		return nil, nil
	}
	return raw, err
}

func (s *scanner) event(header func(string, []byte) error, element func(string, []byte) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for first := true; ; first = false {
		done, err := s.next('}', first)
		if err != nil || done {
			return err
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		if seen[name] || len(seen) > 256 {
			return fmt.Errorf("%w: the event's member %q stands there twice, or there are too many", ErrFormat, brief(name))
		}
		seen[name] = true
		c, err := s.peek()
		if err != nil {
			return err
		}
		if (name == "Attribute" || name == "Object") && c == '[' {
			err = s.elements(name, element)
		} else if raw, skipErr := s.skip(maxMemberBytes); skipErr != nil {
			err = skipErr
		} else {
			err = header(name, raw)
		}
		if err != nil {
			return err
		}
	}
}

func (s *scanner) elements(list string, element func(string, []byte) error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	for n := 0; ; n++ {
		done, err := s.next(']', n == 0)
		if err != nil || done {
			return err
		}
		if n == MaxElements {
			return fmt.Errorf("%w: more than %d elements", ErrTooLarge, MaxElements)
		}
		raw, err := s.skip(maxElementBytes)
		if err != nil {
			return err
		}
		if err := element(list, raw); err != nil {
			return err
		}
	}
}
