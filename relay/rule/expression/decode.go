// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

var errShape = errors.New("the object is not as it was stored")

// reader is a decoder that is used again: most of its cost is its making.
type reader struct {
	decoder jsontext.Decoder
	buffer  bytes.Buffer
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// decode reads the wanted members of an object; nil wants all.
func decode(raw []byte, wanted map[string]bool) (map[string]any, error) {
	r, ok := readers.Get().(*reader)
	if !ok {
		r = new(reader)
	}
	defer func() {
		r.buffer = bytes.Buffer{}
		readers.Put(r)
	}()
	r.buffer = *bytes.NewBuffer(raw) // read in place
	r.decoder.Reset(&r.buffer)
	d := &r.decoder
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, errors.Join(errShape, err)
	}
	object := make(map[string]any, len(wanted))
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if wanted != nil && !wanted[key] {
			if err := d.SkipValue(); err != nil {
				return nil, err
			}
			continue
		}
		if object[key], err = value(d); err != nil {
			return nil, err
		}
	}
	return object, nil
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
		return number(token), nil
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

func number(token jsontext.Token) any {
	if n, err := strconv.ParseInt(token.String(), 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(token.String(), 64)
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
