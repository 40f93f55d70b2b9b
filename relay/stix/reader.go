// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Reader reads the objects of a STIX bundle or a TAXII envelope one by one, in
// the order in which they stand. It holds one object at a time, however long
// the container is; how long it may be is for the source to bound.
type Reader struct {
	in    window
	stage stage
	first bool // no member, or no element, has been read yet
	index int64
	// members counts those of the container; known are those that we read.
	members int
	known   map[string]bool
	more    bool
	next    string
}

type stage int

const (
	atStart stage = iota
	inMembers
	inObjects
	atEnd
)

const (
	maxMembers    = 64
	maxNameBytes  = 256
	maxNextBytes  = 4096
	maxOtherBytes = 64 << 10
)

// NewReader reads from src.
func NewReader(src io.Reader) *Reader {
	return &Reader{in: window{src: src}, known: map[string]bool{}}
}

// More and Next are the members of a TAXII envelope (TAXII 2.1 section 3.7);
// complete when Read has returned io.EOF.
func (r *Reader) More() bool { return r.more }

// Next is the cursor of the next page; see More.
func (r *Reader) Next() string { return r.next }

// Read returns the next object. Its bytes are the caller's. An *ObjectError
// refuses one object, and Read can be called again; io.EOF is the good end; any
// other error is final.
func (r *Reader) Read() (Object, error) {
	for {
		var err error
		switch r.stage {
		case atStart:
			err = r.expect('{')
			r.stage, r.first = inMembers, true
		case inMembers:
			err = r.member()
		case inObjects:
			end, err := r.separator(']')
			if err != nil {
				return Object{}, err
			}
			if !end {
				return r.element()
			}
			r.stage = inMembers
		case atEnd:
			return Object{}, io.EOF
		}
		if err != nil {
			r.stage = atEnd
			return Object{}, err
		}
	}
}

// member reads one member of the container, or its end.
func (r *Reader) member() error {
	end, err := r.separator('}')
	if err != nil {
		return err
	}
	if end {
		r.stage = atEnd
		return r.nothingFollows()
	}
	if r.members++; r.members > maxMembers {
		return fmt.Errorf("%w: more than %d members", ErrContainer, maxMembers)
	}
	quoted, err := r.plainValue(maxNameBytes)
	if err != nil {
		return err
	}
	name, err := unquote(quoted, "a member's name")
	if err != nil {
		return err
	}
	if err := r.expect(':'); err != nil {
		return err
	}
	switch name {
	case "objects", "more", "next":
		if r.known[name] {
			return fmt.Errorf("%w: %q stands there twice", ErrContainer, name)
		}
		r.known[name] = true
	}
	return r.memberValue(name)
}

func (r *Reader) memberValue(name string) error {
	if name == "objects" {
		c, err := r.in.peek()
		if err != nil {
			return err
		}
		if c != 'n' {
			r.stage, r.first = inObjects, true
			return r.expect('[')
		}
	}
	v, err := r.plainValue(maxOtherBytes)
	if err != nil {
		return err
	}
	// Some servers write null for what they do not have.
	if v.Kind() == 'n' {
		return nil
	}
	switch name {
	case "objects":
		return fmt.Errorf("%w: \"objects\" is no array", ErrContainer)
	case "more":
		if k := v.Kind(); k != 't' && k != 'f' {
			return fmt.Errorf("%w: \"more\" is neither true nor false", ErrContainer)
		}
		r.more = v.Kind() == 't'
	case "next":
		// Some servers count, and forget the quotes.
		next := string(v)
		if v.Kind() != '0' {
			if next, err = unquote(v, "\"next\""); err != nil {
				return err
			}
		}
		if len(next) > maxNextBytes {
			return fmt.Errorf("%w: \"next\" is longer than %d bytes", ErrContainer, maxNextBytes)
		}
		r.next = next
	}
	return nil
}

// element reads one object.
func (r *Reader) element() (Object, error) {
	index := r.index
	r.index++
	raw, deepest, err := r.in.value(MaxObjectBytes)
	switch {
	case errors.Is(err, ErrTooLarge):
		return Object{}, &ObjectError{Index: index, Err: ErrTooLarge}
	case err != nil:
		r.stage = atEnd
		return Object{}, err
	case deepest > MaxDepth:
		return Object{}, &ObjectError{Index: index, Err: ErrTooDeep}
	}
	o, err := parse(bytes.Clone(raw))
	if err != nil {
		return Object{}, &ObjectError{Index: index, ID: claimedID(raw), Err: err}
	}
	return o, nil
}

// claimedID is the id of an object that was refused, if it can be shown.
func claimedID(raw []byte) string {
	dec := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	if dec.PeekKind() != '{' {
		return ""
	}
	if _, err := dec.ReadToken(); err != nil {
		return ""
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		isID := name.String() == "id"
		v, err := dec.ReadValue()
		if err != nil {
			return ""
		}
		if isID {
			id, err := unquote(v, "id")
			if err != nil {
				return ""
			}
			return brief(id)
		}
	}
	return ""
}

// separator goes to the next member or element, or over the closing bracket.
func (r *Reader) separator(closing byte) (end bool, err error) {
	c, err := r.in.peek()
	if err != nil {
		r.stage = atEnd
		return false, err
	}
	switch {
	case c == closing:
		r.in.pos++
		r.first = false
		return true, nil
	case r.first:
		r.first = false
		return false, nil
	case c == ',':
		r.in.pos++
		return false, nil
	}
	r.stage = atEnd
	return false, fmt.Errorf("%w: a comma is missing at byte %d", ErrContainer, r.in.offset())
}

func (r *Reader) expect(want byte) error {
	c, err := r.in.peek()
	if err != nil {
		return err
	}
	if c != want {
		return fmt.Errorf("%w: %q is missing at byte %d", ErrContainer, want, r.in.offset())
	}
	r.in.pos++
	return nil
}

// plainValue reads a value of the container itself, checked.
func (r *Reader) plainValue(longest int) (jsontext.Value, error) {
	raw, deepest, err := r.in.value(longest)
	if errors.Is(err, ErrTooLarge) || err == nil && deepest > MaxDepth {
		return nil, fmt.Errorf("%w: a member at byte %d is too large", ErrContainer, r.in.offset())
	}
	if err != nil {
		return nil, err
	}
	v := jsontext.Value(raw)
	if !v.IsValid() {
		return nil, fmt.Errorf("%w: a member before byte %d is not valid JSON", ErrContainer, r.in.offset())
	}
	return v, nil
}

func (r *Reader) nothingFollows() error {
	_, err := r.in.peek()
	switch {
	case err == nil:
		return fmt.Errorf("%w: something follows at byte %d", ErrContainer, r.in.offset())
	case errors.Is(err, io.ErrUnexpectedEOF) && r.in.ended:
		return nil
	}
	return err
}

func unquote(v jsontext.Value, what string) (string, error) {
	if v.Kind() != '"' {
		return "", fmt.Errorf("%w: %s is no string", ErrContainer, what)
	}
	text, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return "", fmt.Errorf("%w: %s", ErrContainer, brief(err.Error()))
	}
	return string(text), nil
}
