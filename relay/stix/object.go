// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of one object.
const (
	// MaxObjectBytes is the length of the longest object: 1 MiB. The longest of
	// ATT&CK has a quarter of it.
	MaxObjectBytes = 1 << 20
	// MaxDepth is the deepest nesting.
	MaxDepth = 64
	// MaxMarkings is the largest number of markings of an object, granular ones
	// included.
	MaxMarkings = 1000
)

// The spec versions of an object.
const (
	Spec20 = "2.0"
	Spec21 = "2.1"
)

// TypeMarkingDefinition is the type of marking definitions.
const TypeMarkingDefinition = "marking-definition"

// Object is what the relay knows of a STIX object.
type Object struct {
	// ID is valid and begins with Type.
	ID   string
	Type string
	// SpecVersion is Spec20 or Spec21. An object that does not say it is 2.1 if it
	// has no "created" (a cyber observable), else 2.0 (STIX 2.1 section 3.2).
	SpecVersion string
	// Version is "modified", else "created", in microseconds, UTC; zero if there
	// is neither.
	Version time.Time
	// Revoked as the object says.
	Revoked bool
	// CreatedBy is created_by_ref as it stands there; empty if there is none.
	CreatedBy string
	// Markings are the distinct references of object_marking_refs and
	// granular_markings, as they stand there.
	Markings []string
	// Statement is true for a marking definition that is a plain statement: a
	// text, no other definition, and nothing that claims to be TLP.
	Statement bool
	// Raw is the object as received.
	Raw []byte
}

// Parse checks one object and takes from it what the relay must know. Raw is
// kept, not copied.
func Parse(raw []byte) (Object, error) {
	if len(raw) > MaxObjectBytes {
		return Object{}, ErrTooLarge
	}
	if depth(raw) > MaxDepth {
		return Object{}, ErrTooDeep
	}
	return parse(raw)
}

// parser holds what one parse needs and the next can use again.
type parser struct {
	dec    jsontext.Decoder
	buf    bytes.Buffer
	seen   fields
	object Object
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

// parse is Parse for bytes whose length and depth are known to be within bounds.
func parse(raw []byte) (Object, error) {
	p, ok := parsers.Get().(*parser)
	if !ok {
		p = new(parser)
	}
	defer parsers.Put(p)
	// A Buffer made from raw is read in place: the decoder neither copies nor
	// changes it.
	p.buf = *bytes.NewBuffer(raw)
	p.dec.Reset(&p.buf)
	p.seen, p.object = fields{}, Object{}
	defer func() { p.buf, p.seen, p.object = bytes.Buffer{}, fields{}, Object{} }()
	if err := p.members(); err != nil {
		return Object{}, err
	}
	if err := p.finish(); err != nil {
		return Object{}, err
	}
	p.object.Raw = raw
	return p.object, nil
}

// members reads the one object to its end. Every member goes through the
// decoder, which checks grammar, UTF-8 and names also of those we do not need.
func (p *parser) members() error {
	if p.dec.PeekKind() != '{' {
		if _, err := p.dec.ReadValue(); err != nil {
			return syntax(err)
		}
		return fmt.Errorf("%w: it is no JSON object", ErrInvalid)
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return syntax(err)
	}
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadValue()
		if err != nil {
			return syntax(err)
		}
		if err := p.member(name); err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return syntax(err)
	}
	if len(bytes.Trim(p.dec.UnreadBuffer(), " \t\r\n")) > 0 {
		return fmt.Errorf("%w: something follows the object", ErrSyntax)
	}
	return nil
}

// member reads one member's value. The name is unquoted before it is compared:
// an escaped "object_marking_refs" is one, too.
func (p *parser) member(quoted jsontext.Value) error {
	name := []byte(quoted)
	if bytes.IndexByte(name, '\\') >= 0 {
		plain, err := jsontext.AppendUnquote(nil, name)
		if err != nil {
			return syntax(err)
		}
		name = append(append([]byte{'"'}, plain...), '"')
	}
	s, o := &p.seen, &p.object
	switch string(name) {
	case `"id"`:
		return p.text("id", MaxIDLength, &o.ID)
	case `"type"`:
		return p.text("type", maxTypeLength, &o.Type)
	case `"spec_version"`:
		return p.text("spec_version", 16, &o.SpecVersion)
	case `"created"`:
		return p.time("created", &s.created)
	case `"modified"`:
		return p.time("modified", &s.modified)
	case `"revoked"`:
		return p.truth("revoked", &o.Revoked)
	case `"created_by_ref"`:
		return p.text("created_by_ref", MaxIDLength, &o.CreatedBy)
	case `"object_marking_refs"`:
		return p.markingRefs()
	case `"granular_markings"`:
		return p.granularMarkings()
	case `"name"`:
		return p.stringIfAny(&s.name)
	case `"definition_type"`:
		return p.stringIfAny(&s.definitionType)
	case `"definition"`:
		return p.definition()
	case `"extensions"`:
		s.extensions = true
	}
	if _, err := p.dec.ReadValue(); err != nil {
		return syntax(err)
	}
	return nil
}

// finish checks what can be checked only when all members are known.
func (p *parser) finish() error {
	o := &p.object
	typ, ok := SplitID(o.ID)
	switch {
	case o.ID == "":
		return fmt.Errorf("%w: it has no id", ErrInvalid)
	case !ok:
		return fmt.Errorf("%w: id %q is not of the form type--UUID", ErrInvalid, brief(o.ID))
	case o.Type == "bundle":
		return fmt.Errorf("%w: a bundle is no object, send the objects in it", ErrInvalid)
	case typ != o.Type:
		return fmt.Errorf("%w: type %q disagrees with id %q", ErrInvalid, brief(o.Type), o.ID)
	}
	switch o.SpecVersion {
	case Spec20, Spec21:
	case "":
		o.SpecVersion = Spec20
		if p.seen.created.IsZero() {
			o.SpecVersion = Spec21
		}
	default:
		return fmt.Errorf("%w: spec_version %q is neither 2.0 nor 2.1", ErrInvalid, brief(o.SpecVersion))
	}
	o.Version = p.seen.modified
	if o.Version.IsZero() {
		o.Version = p.seen.created
	}
	o.Statement = o.Type == TypeMarkingDefinition && p.seen.plainStatement()
	return nil
}

func syntax(err error) error {
	return fmt.Errorf("%w: %s", ErrSyntax, brief(err.Error()))
}
