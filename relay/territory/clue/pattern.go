// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package clue

import "bytes"

// maxPattern is the length of the longest pattern that is read. MISP's longest are a
// few thousand bytes.
const maxPattern = 64 << 10

// subject says what a path of a pattern is about.
type subject uint8

const (
	nothing   subject = iota // nothing that has a territory
	addresses                // addresses and networks
	numbers                  // autonomous systems
	hosts                    // addresses or names
	names                    // domain names
	urls
	mails
)

// decisive tells whether what is not understood about it matters: a name alone
// never decides against an area.
func (s subject) decisive() bool { return s == addresses || s == numbers || s == hosts }

// pattern takes the clues from a STIX pattern. It reads comparisons and not how they
// are joined: whatever a pattern names, it names. What cannot be decided about an
// address makes the whole undecidable.
func (c *Clues) pattern(text []byte) {
	if len(text) == 0 || len(text) > maxPattern {
		c.Undecidable = true
		return
	}
	l := lexer{text}
	for {
		t := l.next()
		switch {
		case t.kind == end:
			return
		case t.kind == broken, t.kind == word && string(t.text) == "NOT":
			c.Undecidable = true
			return
		case t.kind == word && isPath(t.text):
			c.comparison(&l, subjectOf(t.text))
		}
	}
}

func isPath(text []byte) bool {
	return bytes.IndexByte(text, ':') > 0 && text[0] >= 'a' && text[0] <= 'z' && text[1] != '\''
}

// comparison reads what follows a path. A path that nothing follows stands behind
// EXISTS.
func (c *Clues) comparison(l *lexer, about subject) {
	before := l.rest
	t := l.next()
	negated := t.kind == word && string(t.text) == "NOT"
	if negated {
		t = l.next()
	}
	switch operator := string(t.text); {
	case t.kind == sign && (operator == "=" || operator == "=="):
		c.value(about, negated, l.next())
	case t.kind == word && (operator == "ISSUBSET" || operator == "ISSUPERSET"):
		c.value(about, negated, l.next())
	case t.kind == word && operator == "IN":
		c.set(l, about, negated)
	case t.kind == sign && (operator[0] == '!' || operator[0] == '<' || operator[0] == '>'),
		t.kind == word && (operator == "LIKE" || operator == "MATCHES"):
		l.next()
		c.undecided(about)
	case negated:
		c.undecided(about)
	default:
		// EXISTS says that there is an address, not which.
		l.rest = before
		c.undecided(about)
	}
}

func (c *Clues) undecided(about subject) {
	if about.decisive() {
		c.Undecidable = true
	}
}

func (c *Clues) set(l *lexer, about subject, negated bool) {
	if t := l.next(); t.kind != sign || t.text[0] != '(' {
		c.undecided(about)
		return
	}
	for {
		t := l.next()
		switch {
		case t.kind == end || t.kind == broken:
			c.undecided(about)
			return
		case t.kind == sign && t.text[0] == ')':
			return
		case t.kind == sign && t.text[0] == ',':
		default:
			c.value(about, negated, t)
		}
	}
}

// value takes one constant of a comparison.
func (c *Clues) value(about subject, negated bool, t token) {
	if negated || t.kind != literal && t.kind != word {
		c.undecided(about)
		return
	}
	switch about {
	case addresses:
		c.address(t.text)
	case numbers:
		c.number(t.text)
	case hosts, names:
		c.host(t.text)
	case urls:
		c.url(t.text)
	case mails:
		c.mail(t.text)
	case nothing:
	}
}

// subjectOf reads a path. The receivers of a message and the addresses of its
// readers are victims: what names them is about nothing here.
func subjectOf(path []byte) subject {
	// A quoted part means the same as a plain one (STIX 2.1 section 9.7).
	if bytes.IndexByte(path, '\'') >= 0 {
		path = bytes.ReplaceAll(path, []byte("'"), nil)
	}
	switch string(path) {
	case "ipv4-addr:value", "ipv6-addr:value":
		return addresses
	case "autonomous-system:number":
		return numbers
	case "network-traffic:src_ref.value", "network-traffic:dst_ref.value":
		return hosts
	case "domain-name:value":
		return names
	case "url:value":
		return urls
	case "email-addr:value", "email-message:from_ref.value", "email-message:sender_ref.value":
		return mails
	}
	switch {
	case bytes.HasPrefix(path, []byte("ipv4-addr:belongs_to_refs")), bytes.HasPrefix(path, []byte("ipv6-addr:belongs_to_refs")):
		return numbers
	case bytes.HasPrefix(path, []byte("domain-name:resolves_to_refs")):
		return hosts
	}
	return subjectOfHalf(path)
}

// subjectOfHalf is that of a path of which no more than a half was read, because white
// space or a quote stands in it: what it is about is not decided upon.
func subjectOfHalf(path []byte) subject {
	switch string(path) {
	case "ipv4-addr:", "ipv6-addr:", "autonomous-system:", "domain-name:", "url:", "email-addr:", "email-message:",
		"network-traffic:", "network-traffic:src_ref", "network-traffic:src_ref.", "network-traffic:dst_ref", "network-traffic:dst_ref.":
		return addresses
	}
	return nothing
}
