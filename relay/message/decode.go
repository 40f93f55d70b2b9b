// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxBytes is the longest content.
const MaxBytes = 256 << 10

// Schema is the published JSON Schema (draft 2020-12), docs/schema/hotline-message-1.json.
// Check takes exactly what it takes, which a test shows; Check also knows the taxonomy.
//
//go:embed hotline-message-1.json
var Schema []byte

// Fault is what is wrong with one member.
type Fault struct {
	// Field is the path of the member, such as attachments/0/size.
	Field string
	// Reason says what must be, on one line. It repeats nothing of the content.
	Reason string
}

// InvalidError says which members do not hold what the schema asks for.
type InvalidError struct{ Faults []Fault }

// Error lists the faults on one line.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.Field + ": " + f.Reason
	}
	return "checking message: " + strings.Join(parts, "; ")
}

// Encode writes a message and checks it as its receiver will. Errors are an
// *InvalidError, or say that it is too long.
func Encode(m *Message) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	raw, ok := quickEncode(m)
	if !ok {
		var err error
		if raw, err = json.Marshal(m); err != nil {
			return nil, fmt.Errorf("encoding message: %w", err)
		}
	}
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("encoding message: %d bytes are more than %d: leave out or attach what is long", len(raw), MaxBytes)
	}
	return raw, nil
}

// Decode reads the content of a message and checks what this release understands of
// it. It must be one JSON object in UTF-8 with no member twice. Errors are an
// *InvalidError, or say why it is no such object.
func Decode(raw []byte) (Message, error) {
	if len(raw) > MaxBytes {
		return Message{}, fmt.Errorf("reading message: %d bytes are more than %d", len(raw), MaxBytes)
	}
	m, ok := quick(raw)
	if !ok {
		var err error
		if m, err = read(raw); err != nil {
			return Message{}, fmt.Errorf("reading message: %w", err)
		}
	}
	if err := m.Check(); err != nil {
		return Message{}, err
	}
	return m, nil
}

// read reads any message; nothing is checked.
func read(raw []byte) (m Message, err error) {
	if !plain(raw) {
		if err := scan(raw); err != nil {
			return Message{}, err
		}
	}
	if err := json.Unmarshal(raw, &m, times); err != nil {
		return Message{}, cmp.Or(scan(raw), err)
	}
	return m, nil
}

// maxDepth bounds the nesting of members, unknown ones too.
const maxDepth = 16

var (
	errObject = errors.New("it must be one JSON object, in UTF-8 and with no member twice")
	errDepth  = fmt.Errorf("it is nested deeper than %d", maxDepth)
	errEmpty  = errors.New("a member that says nothing must be left out, not null or empty")
)

// times reads the times of a message. It is made once: what it finds out about types is kept.
var times = json.WithUnmarshalers(json.UnmarshalFunc(readTime))

// plain tells that scan would find nothing that decoding does not find too: so few brackets
// that they cannot nest too deep, and nothing that could be null or an empty string. Most
// messages are, and are read once instead of twice.
func plain(raw []byte) bool {
	return bytes.Count(raw, []byte{'{'})+bytes.Count(raw, []byte{'['}) <= maxDepth &&
		!bytes.Contains(raw, []byte("null")) && !bytes.Contains(raw, []byte(`""`))
}

// scan bounds content before it is decoded, and refuses members that are there but
// empty: decoded, they could not be told from those that are absent.
func scan(raw []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if d.PeekKind() != '{' {
		return errObject
	}
	name := false // the last token at this place was a name that must not be empty
	for {
		t, err := d.ReadToken()
		if err != nil {
			return errObject
		}
		kind, _ := d.StackIndex(d.StackDepth())
		switch {
		case d.StackDepth() > maxDepth:
			return errDepth
		case t.Kind() == 'n', t.Kind() == '"' && name && t.String() == "":
			return errEmpty
		case d.StackDepth() == 0:
			if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
				return errObject
			}
			return nil
		}
		_, length := d.StackIndex(d.StackDepth())
		name = kind == '{' && length%2 == 1 && t.Kind() == '"' && neverEmpty(t.String())
	}
}

func neverEmpty(name string) bool {
	switch name {
	case "in_reply_to", "language", "exercise", "rsit", "media_type", "by":
		return true
	}
	return false
}

// readTime reads the one form of a time that the schema allows.
func readTime(raw []byte, t *time.Time) error {
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil || !isTime(text) {
		return errTime // time.Parse alone takes more forms than RFC 3339 has
	}
	*t, err = time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return errTime
	}
	return nil
}

// isTime is ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?Z$.
func isTime(text []byte) bool {
	const form = "dddd-dd-ddTdd:dd:5d"
	if len(text) <= len(form) || text[len(text)-1] != 'Z' {
		return false
	}
	for i := range len(form) {
		switch b := text[i]; form[i] {
		case 'd':
			if !is(b, isDigit) {
				return false
			}
		case '5':
			if b < '0' || b > '5' {
				return false
			}
		default:
			if b != form[i] {
				return false
			}
		}
	}
	fraction := text[len(form) : len(text)-1]
	return len(fraction) == 0 || fraction[0] == '.' && len(fraction) >= 2 && len(fraction) <= 10 && all(string(fraction[1:]), isDigit)
}

var errTime = errors.New("a time must be of RFC 3339, in UTC and with Z")
