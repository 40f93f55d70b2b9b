// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// fields are members that are needed only together with others.
type fields struct {
	created, modified time.Time
	// Of a marking definition:
	name, definitionType, statement jsontext.Value
	statementOnly, extensions       bool
}

// claimsTLP finds what a reader would take for TLP. Such a text is no plain
// statement, whatever its definition type says.
var claimsTLP = regexp.MustCompile(`(?i)\btlp|traffic.?light`)

func (f *fields) plainStatement() bool {
	return f.statementOnly && !f.extensions && plain(f.definitionType) == "statement" &&
		!claimsTLP.MatchString(plain(f.name)) && !claimsTLP.MatchString(plain(f.statement))
}

// plain unquotes a string that the decoder has accepted; "" for none.
func plain(quoted jsontext.Value) string {
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return ""
	}
	return string(text)
}

// value reads the next value; it must be of the kind.
func (p *parser) value(name string, kind jsontext.Kind, what string) (jsontext.Value, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return nil, syntax(err)
	}
	if v.Kind() != kind {
		return nil, fmt.Errorf("%w: %s is no %s", ErrInvalid, name, what)
	}
	return v, nil
}

func (p *parser) text(name string, longest int, to *string) error {
	v, err := p.value(name, '"', "string")
	if err != nil {
		return err
	}
	plain := v[1 : len(v)-1] // without escapes, and so nearly always, that is the text
	if bytes.IndexByte(plain, '\\') >= 0 {
		if plain, err = jsontext.AppendUnquote(nil, v); err != nil {
			return syntax(err)
		}
	}
	if len(plain) > longest {
		return fmt.Errorf("%w: %s is longer than %d bytes", ErrInvalid, name, longest)
	}
	*to = string(plain)
	return nil
}

func (p *parser) truth(name string, to *bool) error {
	v, err := p.dec.ReadValue()
	if err != nil {
		return syntax(err)
	}
	if k := v.Kind(); k != 't' && k != 'f' {
		return fmt.Errorf("%w: %s is neither true nor false", ErrInvalid, name)
	}
	*to = v.Kind() == 't'
	return nil
}

func (p *parser) time(name string, to *time.Time) error {
	var text string
	if err := p.text(name, 40, &text); err != nil {
		return err
	}
	t, err := ParseTime(text)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
	}
	*to = t
	return nil
}

// ParseTime reads a STIX timestamp: RFC 3339, UTC with "Z" (STIX 2.1 section
// 2.16). Digits below the microsecond are cut.
func ParseTime(text string) (time.Time, error) {
	if t, ok := plainTime(text); ok {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !strings.HasSuffix(text, "Z") || strings.Contains(text, ",") || t.Year() < 1 {
		return time.Time{}, fmt.Errorf("%q is no time of the form 2006-01-02T15:04:05.999Z", brief(text))
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// elements reads an array and calls one before each element.
func (p *parser) elements(name string, one func() error) error {
	if p.dec.PeekKind() != '[' {
		_, err := p.value(name, '[', "array")
		return err
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return syntax(err)
	}
	for p.dec.PeekKind() != ']' {
		if err := one(); err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return syntax(err)
	}
	return nil
}

// mark adds a reference. One that is no valid identifier stays as it is: it
// refers to nothing that is known, and so restricts most.
func (p *parser) mark(name string) error {
	var ref string
	if err := p.text(name, MaxIDLength, &ref); err != nil {
		return err
	}
	o := &p.object
	if slices.Contains(o.Markings, ref) {
		return nil
	}
	if len(o.Markings) == MaxMarkings {
		return fmt.Errorf("%w: it has more than %d markings", ErrInvalid, MaxMarkings)
	}
	o.Markings = append(o.Markings, ref)
	return nil
}

func (p *parser) markingRefs() error {
	return p.elements("object_marking_refs", func() error { return p.mark("object_marking_refs") })
}

// granularMarkings takes the marking_ref of each element; those with a "lang"
// instead do not restrict.
func (p *parser) granularMarkings() error {
	return p.elements("granular_markings", func() error {
		var hasRef, hasLang bool
		err := p.nested("granular_markings", func(name string) error {
			switch name {
			case "marking_ref":
				hasRef = true
				return p.mark("marking_ref")
			case "lang":
				hasLang = true
			}
			return p.skip()
		})
		if err == nil && !hasRef && !hasLang {
			err = fmt.Errorf("%w: an element of granular_markings has neither marking_ref nor lang", ErrInvalid)
		}
		return err
	})
}

// nested reads an object inside the object and calls one before each value.
func (p *parser) nested(name string, one func(member string) error) error {
	if p.dec.PeekKind() != '{' {
		_, err := p.value(name, '{', "object")
		return err
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return syntax(err)
	}
	for p.dec.PeekKind() != '}' {
		quoted, err := p.dec.ReadValue()
		if err != nil {
			return syntax(err)
		}
		member, err := jsontext.AppendUnquote(nil, quoted)
		if err != nil {
			return syntax(err)
		}
		if err := one(string(member)); err != nil {
			return err
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return syntax(err)
	}
	return nil
}

func (p *parser) skip() error {
	if _, err := p.dec.ReadValue(); err != nil {
		return syntax(err)
	}
	return nil
}

// stringIfAny keeps a string as it stands, or skips another value: these members
// are of interest in marking definitions only, and other types may use the names.
func (p *parser) stringIfAny(to *jsontext.Value) error {
	v, err := p.dec.ReadValue()
	if err != nil {
		return syntax(err)
	}
	if v.Kind() == '"' {
		*to = v
	}
	return nil
}

// definition notes whether there is a statement and nothing else.
func (p *parser) definition() error {
	if p.dec.PeekKind() != '{' {
		return p.skip()
	}
	members := 0
	err := p.nested("definition", func(member string) error {
		members++
		if member != "statement" || p.dec.PeekKind() != '"' {
			return p.skip()
		}
		p.seen.statementOnly = true
		return p.stringIfAny(&p.seen.statement)
	})
	p.seen.statementOnly = p.seen.statementOnly && members == 1
	return err
}
