// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package clue

import (
	"bytes"
	"time"

	"github.com/certlink/certlink/relay/stix"
)

// Find takes the clues from an object.
func Find(o stix.Object) Clues {
	var c Clues
	switch o.Type {
	case "indicator":
		c.indicator(o.Raw)
	case "observed-data":
		c.observedData(o.Raw)
	default:
		c.observable(o.Type, o.Raw)
	}
	if c.Observed.IsZero() {
		c.Observed = o.Version
	}
	return c
}

// indicator reads the pattern. A pattern without a type is one of STIX 2.0.
func (c *Clues) indicator(raw []byte) {
	var pattern, language []byte
	left := 3
	stix.Members(raw, func(name, value []byte) bool {
		switch string(name) {
		case "pattern":
			pattern = value
		case "pattern_type":
			language = value
		case "valid_from":
			c.Observed = timeOf(value)
		default:
			return true
		}
		left--
		return left > 0
	})
	if language != nil && string(language) != `"stix"` {
		c.Undecidable = true
		return
	}
	c.pattern(stix.Unquote(pattern))
}

// observedData reads the objects that STIX 2.0 and early 2.1 embed.
func (c *Clues) observedData(raw []byte) {
	stix.Members(raw, func(name, value []byte) bool {
		switch string(name) {
		case "objects":
			stix.Members(value, func(_, object []byte) bool {
				c.observable(string(typeOf(object)), object)
				return len(c.List) < Max || !c.Undecidable // one more makes it undecidable
			})
		case "last_observed":
			c.Observed = timeOf(value)
		}
		return true
	})
}

func typeOf(raw []byte) (typ []byte) {
	stix.Members(raw, func(name, value []byte) bool {
		if string(name) == "type" {
			typ = stix.Unquote(value)
			return false
		}
		return true
	})
	return typ
}

// observable reads the one member of a cyber observable that tells where it is.
// What it only refers to is another object.
func (c *Clues) observable(typ string, raw []byte) {
	var take func(text []byte)
	member := "value"
	switch typ {
	case "ipv4-addr", "ipv6-addr":
		take = c.address
	case "domain-name":
		take = c.host
	case "url":
		take = c.url
	case "email-addr":
		take = c.mail
	case "autonomous-system":
		take, member = c.number, "number"
	default:
		return
	}
	stix.Members(raw, func(name, value []byte) bool {
		if string(name) != member {
			return true
		}
		if text := stix.Unquote(value); text != nil {
			value = text
		}
		take(value)
		return false
	})
}

// timeOf reads a timestamp; zero if it is none.
func timeOf(quoted []byte) time.Time {
	text := stix.Unquote(quoted)
	// The form without a fraction, or with three digits, is that of nearly all.
	if t, ok := plainTime(text); ok {
		return t
	}
	t, err := stix.ParseTime(string(bytes.TrimSpace(text)))
	if err != nil {
		return time.Time{}
	}
	return t
}

// plainTime reads 2006-01-02T15:04:05 and at most three digits of a fraction
// without what a general parser costs.
func plainTime(b []byte) (time.Time, bool) {
	const form = "0000-00-00T00:00:00"
	if len(b) <= len(form) || len(b) > len(form)+5 || b[len(b)-1] != 'Z' {
		return time.Time{}, false
	}
	for i := range len(form) {
		if digit := b[i] >= '0' && b[i] <= '9'; digit != (form[i] == '0') || !digit && b[i] != form[i] {
			return time.Time{}, false
		}
	}
	nanoseconds, ok := fraction(b[len(form) : len(b)-1])
	if !ok {
		return time.Time{}, false
	}
	two := func(at int) int { return int(b[at]-'0')*10 + int(b[at+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanoseconds, time.UTC), true
}

// fraction reads nothing, or a point and digits.
func fraction(b []byte) (nanoseconds int, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	if b[0] != '.' || len(b) == 1 {
		return 0, false
	}
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		nanoseconds = nanoseconds*10 + int(c-'0')
	}
	for range 10 - len(b) {
		nanoseconds *= 10
	}
	return nanoseconds, true
}

func daysIn(year, month int) int {
	if month == 2 {
		return time.Date(year, time.March, 0, 0, 0, 0, 0, time.UTC).Day()
	}
	return 30 + (month+month/8)%2
}
