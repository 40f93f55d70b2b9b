// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package warninglist

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Bounds of a list.
const (
	// MaxEntries is the largest number of entries of one list.
	MaxEntries = 2_000_000
	// MaxSlow is the largest number of entries of a list of substrings or of regular
	// expressions, each of which is tried on each value.
	MaxSlow = 1024
	// maxEntry is the length of the longest entry in bytes that is kept.
	maxEntry = 1024
)

// The errors of Parse.
var (
	// ErrFormat: the file is no warning list of MISP, or of a type that is not known.
	ErrFormat = errors.New("is no warning list in the format of MISP")
	// ErrTooLarge: the list has more entries than are read.
	ErrTooLarge = errors.New("is too large")
)

// List is one list as read.
type List struct {
	// Title is what the list calls itself.
	Title string
	// Entries is the number of entries that are used, and Skipped that of the others:
	// what the list's type does not allow, or what is too long.
	Entries, Skipped int

	addresses, names, numbers bool // what the list is for
	networks                  []netip.Prefix
	hosts, exact, parts       []string
	expressions               []*regexp.Regexp
}

// file is the JSON form.
type file struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	List       []string `json:"list"`
	Attributes []string `json:"matching_attributes"`
}

// Parse reads a list. It keeps no part of the bytes.
func Parse(raw []byte) (*List, error) {
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	switch slow := f.Type == "substring" || f.Type == "regex"; {
	case len(f.List) == 0:
		return nil, fmt.Errorf("%w: it has no entry", ErrFormat)
	case len(f.List) > MaxEntries || slow && len(f.List) > MaxSlow:
		return nil, fmt.Errorf("%w: it has %d entries of type %q", ErrTooLarge, len(f.List), f.Type)
	}
	l := &List{Title: brief(f.Name)}
	l.readsFor(f.Attributes)
	take, ok := map[string]func(string) bool{
		"cidr": l.cidr, "hostname": l.hostname, "string": l.string, "substring": l.substring, "regex": l.regex,
	}[f.Type]
	if !ok {
		return nil, fmt.Errorf("%w: its type %q is none of cidr, hostname, string, substring and regex", ErrFormat, brief(f.Type))
	}
	for _, entry := range f.List {
		if entry = strings.TrimSpace(entry); entry != "" && len(entry) <= maxEntry && take(entry) {
			l.Entries++
		} else {
			l.Skipped++
		}
	}
	if l.Entries == 0 {
		return nil, fmt.Errorf("%w: none of its entries is of type %s", ErrFormat, f.Type)
	}
	return l, nil
}

// readsFor takes what the list is for from MISP's names of attributes; without any it
// is for all.
func (l *List) readsFor(attributes []string) {
	all := len(attributes) == 0
	has := func(words ...string) bool {
		return all || slices.ContainsFunc(attributes, func(a string) bool {
			return slices.ContainsFunc(strings.Split(strings.ToLower(a), "|"), func(part string) bool { return slices.Contains(words, part) })
		})
	}
	l.addresses = has("ip", "ip-src", "ip-dst")
	l.names = has("domain", "hostname", "url", "uri", "email", "email-src", "email-dst", "link")
	l.numbers = has("as")
}

// cidr takes a network or an address.
func (l *List) cidr(entry string) bool {
	p, err := netip.ParsePrefix(entry)
	if err != nil {
		a, err := netip.ParseAddr(entry)
		if err != nil {
			return false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	l.networks = append(l.networks, p.Masked())
	return true
}

func (l *List) hostname(entry string) bool {
	entry = plainName(entry)
	l.hosts = append(l.hosts, entry)
	return entry != ""
}

// string takes a value that must be equal. An address may be written in several ways,
// and so counts as a network.
func (l *List) string(entry string) bool {
	if _, err := netip.ParseAddr(entry); err == nil {
		return l.cidr(entry)
	}
	l.exact = append(l.exact, plainName(entry))
	return true
}

func (l *List) substring(entry string) bool {
	l.parts = append(l.parts, strings.ToLower(entry))
	return true
}

// regex takes an expression, also in the writing of PHP: /expression/flags.
func (l *List) regex(entry string) bool {
	flags := ""
	if last := strings.LastIndexByte(entry, '/'); entry[0] == '/' && last > 0 {
		if strings.Contains(entry[last:], "i") {
			flags = "(?i)"
		}
		entry = entry[1:last]
	}
	re, err := regexp.Compile(flags + entry)
	if err != nil {
		return false
	}
	l.expressions = append(l.expressions, re)
	return true
}

func plainName(name string) string {
	return strings.ToLower(strings.Trim(name, "."))
}

func brief(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
	if len(text) > 128 {
		text = text[:128] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
