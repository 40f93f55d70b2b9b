// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import "strings"

const (
	// maxPatternBytes and maxTerms bound a pattern that is taken apart; others stay whole.
	maxPatternBytes = 64 << 10
	maxTerms        = 256
)

// parsePattern takes a STIX pattern of plain comparisons apart: alternatives, each of
// which holds comparisons that must all be true. ok is false for any other pattern; it is
// then for the reader to keep it whole.
func parsePattern(text string) (alternatives [][]term, ok bool) {
	if len(text) > maxPatternBytes {
		return nil, false
	}
	p := &patternReader{rest: strings.TrimSpace(text)}
	for {
		group, ok := p.observation()
		if !ok || len(alternatives)+len(group) > maxTerms {
			return nil, false
		}
		alternatives = append(alternatives, group...)
		switch {
		case p.rest == "":
			return alternatives, true
		case !p.word("OR"):
			return nil, false
		}
	}
}

// patternReader reads from the beginning of rest.
type patternReader struct{ rest string }

func (p *patternReader) skip() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *patternReader) take(prefix string) bool {
	p.skip()
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
		p.skip()
	}
	return ok
}

// word takes a keyword that something follows.
func (p *patternReader) word(w string) bool {
	p.skip()
	if rest, ok := strings.CutPrefix(p.rest, w); ok && rest != "" && strings.ContainsRune(" \t\r\n[", rune(rest[0])) {
		p.rest = rest
		p.skip()
		return true
	}
	return false
}

// observation reads [ … ]. AND binds closer than OR (STIX 2.1 section 9.5).
func (p *patternReader) observation() (alternatives [][]term, ok bool) {
	if !p.take("[") {
		return nil, false
	}
	var group []term
	for range maxTerms {
		t, ok := p.comparison()
		if !ok {
			return nil, false
		}
		group = append(group, t)
		switch {
		case p.take("]"):
			return append(alternatives, group), true
		case p.word("AND"):
		case p.word("OR"):
			alternatives, group = append(alternatives, group), nil
		default:
			return nil, false
		}
	}
	return nil, false
}

// comparison reads PATH = 'TEXT' or PATH = NUMBER.
func (p *patternReader) comparison() (term, bool) {
	p.skip()
	end, quoted := 0, false
	for ; end < len(p.rest); end++ {
		c := p.rest[end]
		if c == '\'' {
			quoted = !quoted
		}
		if !quoted && strings.IndexByte(" \t\r\n=!<>]", c) >= 0 && !strings.HasSuffix(p.rest[:end], "[*") {
			break
		}
	}
	t := term{path: p.rest[:end]}
	p.rest = p.rest[end:]
	if t.path == "" || !strings.Contains(t.path, ":") || !p.take("=") {
		return term{}, false
	}
	if strings.HasPrefix(p.rest, "'") {
		var ok bool
		t.value, ok = p.text()
		return t, ok
	}
	end = strings.IndexFunc(p.rest, func(r rune) bool { return r < '0' || r > '9' })
	if end <= 0 {
		return term{}, false
	}
	t.value, t.number, p.rest = p.rest[:end], true, p.rest[end:]
	return t, true
}

// text reads a text in quotes.
func (p *patternReader) text() (string, bool) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		case c == '\'':
			p.rest = p.rest[i+1:]
			return b.String(), true
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
