// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package clue

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// members calls one for each member of a JSON object with the member's name and its
// value as they stand, until one returns false. Package stix has checked the bytes:
// so this steps from quote to quote, which is several times faster than checking
// once more. Bytes that were not checked end the walk early, at worst.
func members(raw []byte, one func(name, value []byte) bool) {
	at := blank(raw, 0)
	if at >= len(raw) || raw[at] != '{' {
		return
	}
	for at++; ; at++ {
		if at = blank(raw, at); at >= len(raw) || raw[at] != '"' {
			return
		}
		end := stringEnd(raw, at)
		if end < 0 {
			return
		}
		name := raw[at+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name = unquote(raw[at:end])
		}
		if at = blank(raw, end); at >= len(raw) || raw[at] != ':' {
			return
		}
		at = blank(raw, at+1)
		end = valueEnd(raw, at)
		if end <= at || !one(name, raw[at:end]) {
			return
		}
		if at = blank(raw, end); at >= len(raw) || raw[at] != ',' {
			return
		}
	}
}

func blank(raw []byte, at int) int {
	for at < len(raw) && (raw[at] == ' ' || raw[at] == '\n' || raw[at] == '\t' || raw[at] == '\r') {
		at++
	}
	return at
}

// stringEnd is the position behind the string that begins at a quote; -1 if it does
// not end.
func stringEnd(raw []byte, at int) int {
	for from := at + 1; ; {
		i := bytes.IndexByte(raw[from:], '"')
		if i < 0 {
			return -1
		}
		from += i
		escapes := 0
		for raw[from-1-escapes] == '\\' {
			escapes++ // the opening quote ends this at the latest
		}
		from++
		if escapes%2 == 0 {
			return from
		}
	}
}

// valueEnd is the position behind the value that begins at a position.
func valueEnd(raw []byte, at int) int {
	if at >= len(raw) {
		return -1
	}
	switch raw[at] {
	case '"':
		return stringEnd(raw, at)
	case '{', '[':
		return bracketEnd(raw, at)
	}
	for end := at; end < len(raw); end++ {
		switch raw[end] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return end
		}
	}
	return len(raw)
}

func bracketEnd(raw []byte, at int) int {
	for depth := 0; at < len(raw); {
		switch raw[at] {
		case '"':
			if at = stringEnd(raw, at); at < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
		at++
	}
	return -1
}

// unquote returns the text of a JSON string, nil for anything else. Mostly these are
// the bytes between the quotes.
func unquote(quoted []byte) []byte {
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
