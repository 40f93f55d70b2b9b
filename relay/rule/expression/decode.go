// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"bytes"
	"math"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/certlink/certlink/relay/stix"
)

// reader is a decoder that is used again: most of its cost is its making.
type reader struct {
	decoder jsontext.Decoder
	buffer  bytes.Buffer
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// decode reads the wanted members of an object; nil wants all.
func decode(raw []byte, wanted map[string]bool) (object map[string]any, err error) {
	object = make(map[string]any, len(wanted))
	stix.Members(raw, func(name, text []byte) bool {
		if wanted != nil && !wanted[string(name)] {
			return true
		}
		var v any
		if v, err = whole(text); err == nil {
			object[string(name)] = v
		}
		return err == nil
	})
	return object, err
}

// whole reads a value. Those that hold no others are read without a decoder.
func whole(text []byte) (any, error) {
	switch text[0] {
	case '"':
		return string(stix.Unquote(text)), nil
	case '{', '[':
		return nested(text)
	case 't', 'f':
		return text[0] == 't', nil
	case 'n':
		return nil, nil
	}
	return number(string(text)), nil
}

func nested(text []byte) (any, error) {
	r, ok := readers.Get().(*reader)
	if !ok {
		r = new(reader)
	}
	defer func() {
		r.buffer = bytes.Buffer{}
		readers.Put(r)
	}()
	r.buffer = *bytes.NewBuffer(text) // read in place
	r.decoder.Reset(&r.buffer)
	return value(&r.decoder)
}

// value reads one value as CEL knows it: whole numbers are integers.
func value(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '"':
		return token.String(), nil
	case '0':
		return number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	case '[':
		return list(d)
	case '{':
		return object(d)
	default:
		return nil, nil
	}
}

func number(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN() // beyond what a double holds: compares with nothing
	}
	return f
}

func list(d *jsontext.Decoder) (any, error) {
	items := []any{}
	for d.PeekKind() != ']' {
		item, err := value(d)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := d.ReadToken()
	return items, err
}

func object(d *jsontext.Decoder) (any, error) {
	members := map[string]any{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if members[key], err = value(d); err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	return members, err
}
