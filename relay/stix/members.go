// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Members calls one for each member of a JSON object, with its name and its value as
// it stands, until one returns false. Parse must have accepted the bytes: so this
// only steps from quote to quote. Bytes that it has not seen end the walk early, at worst.
func Members(raw []byte, one func(name, value []byte) bool) {
	at := skipBlank(raw, 0)
	if at >= len(raw) || raw[at] != '{' {
		return
	}
	for at = skipBlank(raw, at+1); at < len(raw) && raw[at] == '"'; at = skipBlank(raw, at+1) {
		end := endOfString(raw, at)
		if end < 0 {
			return
		}
		name := raw[at+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name = Unquote(raw[at:end])
		}
		if at = skipBlank(raw, end); at >= len(raw) || raw[at] != ':' {
			return
		}
		at = skipBlank(raw, at+1)
		end = endOfValue(raw, at)
		if end <= at || !one(name, raw[at:end]) {
			return
		}
		if at = skipBlank(raw, end); at >= len(raw) || raw[at] != ',' {
			return
		}
	}
}

// Unquote returns the text of a JSON string that Parse has accepted; nil for
// anything else.
func Unquote(quoted []byte) []byte {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return nil
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return nil
	}
	return text
}

// Strings are the elements of an array of strings, those alone that are strings.
func Strings(array []byte) []string {
	d := jsontext.NewDecoder(bytes.NewReader(array))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '[' {
		return nil
	}
	var all []string
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil {
			return all
		}
		if v.Kind() == '"' {
			all = append(all, string(Unquote(v)))
		}
	}
	return all
}

func skipBlank(raw []byte, at int) int {
	for at < len(raw) && (raw[at] == ' ' || raw[at] == '\n' || raw[at] == '\t' || raw[at] == '\r') {
		at++
	}
	return at
}

// endOfString is the position behind the string that begins at a quote; -1 if it
// has no end.
func endOfString(raw []byte, at int) int {
	for from := at + 1; from < len(raw); {
		i := bytes.IndexByte(raw[from:], '"')
		if i < 0 {
			return -1
		}
		from += i
		escapes := 0
		for raw[from-1-escapes] == '\\' {
			escapes++
		}
		if from++; escapes%2 == 0 {
			return from
		}
	}
	return -1
}

// endOfValue is the position behind the value that begins at a position.
func endOfValue(raw []byte, at int) int {
	if at >= len(raw) {
		return -1
	}
	switch raw[at] {
	case '"':
		return endOfString(raw, at)
	case '{', '[':
		return endOfBrackets(raw, at)
	}
	end := bytes.IndexAny(raw[at:], ",}] \n\t\r")
	if end < 0 {
		return len(raw)
	}
	return at + end
}

func endOfBrackets(raw []byte, at int) int {
	for depth := 0; at < len(raw); at++ {
		switch raw[at] {
		case '"':
			end := endOfString(raw, at)
			if end < 0 {
				return -1
			}
			at = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return -1
}
