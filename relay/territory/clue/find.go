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
	members(raw, func(name, value []byte) bool {
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
	c.pattern(unquote(pattern))
}

// observedData reads the objects that STIX 2.0 and early 2.1 embed.
func (c *Clues) observedData(raw []byte) {
	members(raw, func(name, value []byte) bool {
		switch string(name) {
		case "objects":
			members(value, func(_, object []byte) bool {
				c.observable(string(typeOf(object)), object)
				return len(c.List) < Max
			})
		case "last_observed":
			c.Observed = timeOf(value)
		}
		return true
	})
}

func typeOf(raw []byte) (typ []byte) {
	members(raw, func(name, value []byte) bool {
		if string(name) == "type" {
			typ = unquote(value)
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
	members(raw, func(name, value []byte) bool {
		if string(name) != member {
			return true
		}
		if text := unquote(value); text != nil {
			value = text
		}
		take(value)
		return false
	})
}

// timeOf reads a timestamp; zero if it is none.
func timeOf(quoted []byte) time.Time {
	text := unquote(quoted)
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
	if len(b) < 20 || len(b) > 24 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[len(b)-1] != 'Z' {
		return time.Time{}, false
	}
	fraction := 0
	if len(b) > 20 {
		if b[19] != '.' || len(b) == 21 {
			return time.Time{}, false
		}
		digits := b[20 : len(b)-1]
		n, ok := decimal(digits)
		if !ok {
			return time.Time{}, false
		}
		for range 9 - len(digits) {
			n *= 10
		}
		fraction = n
	}
	var part [6]int
	for i, from := range [6]int{0, 5, 8, 11, 14, 17} {
		length := 2
		if i == 0 {
			length = 4
		}
		n, ok := decimal(b[from : from+length])
		if !ok {
			return time.Time{}, false
		}
		part[i] = n
	}
	if part[0] < 1 || part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 28 && part[2] > daysIn(part[0], part[1]) || part[3] > 23 || part[4] > 59 || part[5] > 59 {
		return time.Time{}, false
	}
	return time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], fraction, time.UTC), true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func decimal(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0
}
