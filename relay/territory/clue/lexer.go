// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package clue

import "bytes"

// The kinds of a token.
type tokenKind uint8

const (
	end     tokenKind = iota
	broken            // no token of the language
	word              // a keyword, a number, or a path such as ipv4-addr:value
	literal           // a string, without its quotes
	sign              // anything else
)

// token is one word of a pattern.
type token struct {
	kind tokenKind
	text []byte
}

// lexer cuts a pattern into tokens (STIX 2.1 section 9.6 to 9.8).
type lexer struct{ rest []byte }

func (l *lexer) next() token {
	for len(l.rest) > 0 && l.rest[0] <= ' ' {
		l.rest = l.rest[1:]
	}
	if len(l.rest) == 0 {
		return token{kind: end}
	}
	switch c := l.rest[0]; {
	case c == '\'':
		return l.text()
	case inWord(c):
		return l.word()
	case isOperator(c):
		if len(l.rest) > 1 && (l.rest[1] == '=' || c != '=' && l.rest[1] == '>') {
			return l.take(sign, 2)
		}
		return l.take(sign, 1)
	case isBracket(c):
		return l.take(sign, 1)
	}
	l.rest = nil
	return token{kind: broken}
}

func isOperator(c byte) bool { return c == '=' || c == '!' || c == '<' || c == '>' }

func isBracket(c byte) bool { return c == '(' || c == ')' || c == '[' || c == ']' || c == ',' }

func (l *lexer) take(k tokenKind, n int) token {
	t := token{k, l.rest[:n]}
	l.rest = l.rest[n:]
	return t
}

// text reads a string: a backslash stands before a quote or a backslash.
func (l *lexer) text() token {
	body := l.rest[1:]
	if i := bytes.IndexAny(body, `'\`); i >= 0 && body[i] == '\'' {
		l.rest = body[i+1:]
		return token{literal, body[:i]}
	}
	var plain []byte
	for i := 0; i < len(body); i++ {
		switch {
		case body[i] == '\'':
			l.rest = body[i+1:]
			return token{literal, plain}
		case body[i] == '\\' && i+1 < len(body):
			i++
		}
		plain = append(plain, body[i])
	}
	l.rest = nil
	return token{kind: broken}
}

// word reads a keyword, a number, a typed literal such as t'2026-01-01T00:00:00Z',
// or a path with its quoted parts and indexes.
func (l *lexer) word() token {
	i, path := 0, false
	for i < len(l.rest) {
		switch c := l.rest[i]; {
		case c == ':':
			path = true
			i++
		case inWord(c):
			i++
		case c == '\'' && path && l.rest[i-1] == '.', c == '\'' && i == 1:
			quoted := lexer{l.rest[i:]}
			if quoted.text().kind == broken {
				l.rest = nil
				return token{kind: broken}
			}
			i = len(l.rest) - len(quoted.rest)
		case c == '[' && path:
			closing := bytes.IndexByte(l.rest[i:], ']')
			if closing < 0 || closing > 20 {
				l.rest = nil
				return token{kind: broken}
			}
			i += closing + 1
		default:
			return l.take(word, i)
		}
	}
	return l.take(word, i)
}

func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '+'
}
