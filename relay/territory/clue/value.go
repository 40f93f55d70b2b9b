// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package clue

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/certlink/certlink/relay/territory/span"
)

// maxName is the length of the longest name of a host.
const maxName = 253

// add takes a clue once.
func (c *Clues) add(one Clue) {
	if slices.Contains(c.List, one) {
		return
	}
	if len(c.List) == Max {
		c.Undecidable = true
		return
	}
	c.List = append(c.List, one)
}

// address reads an address or a network. What is neither is not decided upon.
func (c *Clues) address(text []byte) {
	one, ok := parseAddress(string(bytes.TrimSpace(text)))
	if !ok {
		c.Undecidable = true
		return
	}
	c.add(one)
}

func parseAddress(text string) (Clue, bool) {
	if strings.IndexByte(text, '/') >= 0 {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return Clue{}, false
		}
		return network(p), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return Clue{}, false
	}
	return addressOf(a), true
}

func addressOf(a netip.Addr) Clue {
	a = a.WithZone("").Unmap()
	return Clue{Kind: Address, Prefix: netip.PrefixFrom(a, a.BitLen())}
}

func network(p netip.Prefix) Clue {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p.IsSingleIP() {
		return addressOf(p.Addr())
	}
	return Clue{Kind: Network, Prefix: p.Masked()}
}

// number reads the number of an autonomous system, with or without "AS" before it.
func (c *Clues) number(text []byte) {
	n, ok := span.ParseNumber(string(bytes.TrimSpace(text)))
	if !ok {
		c.Undecidable = true
		return
	}
	c.add(Clue{Kind: Number, Number: n})
}

// host reads an address or the name of a host.
func (c *Clues) host(text []byte) {
	plain := string(bytes.TrimSpace(text))
	if one, ok := parseAddress(plain); ok {
		c.add(one)
		return
	}
	name := strings.ToLower(strings.TrimSuffix(plain, "."))
	switch {
	case name == "" || len(name) > maxName || strings.ContainsFunc(name, foreign):
		return // no name of a host, and no address in any writing
	case numeric(name) || strings.IndexByte(name, '%') >= 0:
		// Programs read 3325256705 and 0xc6.51.25601 as IPv4.
		c.Undecidable = true
	default:
		c.add(Clue{Kind: Domain, Name: name})
	}
}

// foreign tells whether a character stands in no name of a host. Letters beyond ASCII
// may: some write names before their encoding.
func foreign(r rune) bool {
	return r <= ' ' || r == utf8.RuneError || unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune("\"'<>[]()/\\@:?#,;", r)
}

// numeric tells whether the last label is a number, as in an address in an unusual
// writing: no top-level domain is one.
func numeric(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" {
		return false
	}
	_, err := strconv.ParseUint(last, 0, 64)
	digits := strings.Trim(last, "0123456789") == ""
	return err == nil && last[0] >= '0' && last[0] <= '9' || digits
}

// url reads the host of a URL.
func (c *Clues) url(text []byte) {
	rest := bytes.TrimSpace(text)
	if i := bytes.Index(rest, []byte("://")); i >= 0 && i <= 32 {
		rest = rest[i+3:]
	} else {
		rest = bytes.TrimLeft(rest, "/")
	}
	if i := bytes.IndexAny(rest, "/?#\\"); i >= 0 {
		rest = rest[:i]
	}
	if i := bytes.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if len(rest) > 0 && rest[0] == '[' {
		end := bytes.IndexByte(rest, ']')
		if end < 0 {
			c.Undecidable = true
			return
		}
		c.address(rest[1:end])
		return
	}
	if i := bytes.LastIndexByte(rest, ':'); i >= 0 {
		rest = rest[:i]
	}
	c.host(rest)
}

// mail reads the host of an e-mail address.
func (c *Clues) mail(text []byte) {
	at := bytes.LastIndexByte(text, '@')
	if at < 0 {
		return
	}
	host := bytes.TrimSpace(text[at+1:])
	host = bytes.TrimSuffix(bytes.TrimPrefix(host, []byte("[")), []byte("]"))
	c.host(bytes.TrimPrefix(host, []byte("IPv6:")))
}

// Read takes the clue from a value as a person writes it: an address, a network, a
// number of an autonomous system ("AS64500"), a URL, or the name of a host.
func Read(text string) Clues {
	var c Clues
	raw := []byte(strings.TrimSpace(text))
	n, isNumber := span.ParseNumber(string(raw))
	switch {
	case isNumber:
		c.add(Clue{Kind: Number, Number: n})
	case bytes.Contains(raw, []byte("://")):
		c.url(raw)
	case bytes.IndexByte(raw, '@') >= 0:
		c.mail(raw)
	default:
		c.host(raw)
	}
	return c
}
