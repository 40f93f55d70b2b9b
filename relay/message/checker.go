// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxFaults of one message are told.
const maxFaults = 16

// checker collects what is wrong. Where nothing is, it allocates nothing: each message is
// checked three times on its way.
type checker struct{ faults []Fault }

func (c *checker) err() error {
	if len(c.faults) == 0 {
		return nil
	}
	return &InvalidError{Faults: c.faults}
}

func (c *checker) require(ok bool, field, reason string) {
	if !ok {
		c.add(field, reason)
	}
}

// bound is require with a number in its reason.
func (c *checker) bound(ok bool, field, format string, n int) {
	if !ok {
		c.add(field, fmt.Sprintf(format, n))
	}
}

func (c *checker) add(field, reason string) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, Fault{Field: field, Reason: reason})
	}
}

func (c *checker) shape(r matcher, field, value, reason string) {
	c.require(r.MatchString(value), field, reason)
}

func (c *checker) maybe(r matcher, field, value, reason string) {
	c.require(value == "" || r.MatchString(value), field, reason)
}

func (c *checker) count(field string, n, most int) {
	c.bound(n <= most, field, "must have at most %d entries", most)
}

func (c *checker) serial(field string, n int64) {
	c.require(n >= 1 && n <= maxSerial, field, "must be within 1 and 2^53")
}

func (c *checker) time(field string, t time.Time) {
	c.require(!t.IsZero() && t.Location() == time.UTC && t.Year() >= 0 && t.Year() <= 9999, field, "must be a time in UTC")
}

func (c *checker) maybeTime(field string, t time.Time) {
	if !t.IsZero() {
		c.time(field, t)
	}
}

func (c *checker) line(field, s string, most int) {
	c.bound(plainLine(s, most) || fits(s, most) && !strings.ContainsFunc(s, notInLine), field, "must be one line of at most %d characters, without control characters", most)
}

func (c *checker) text(field, s string, most int) {
	c.bound(plainText(s, most) || fits(s, most) && !strings.ContainsFunc(s, notInText), field, "must be text of at most %d characters, without control characters", most)
}

// plainLine and plainText tell of text in ASCII that it fits and has no control characters,
// without taking it apart rune by rune; false says nothing.
func plainLine(s string, most int) bool {
	return len(s) <= most && printed(s) == len(s)
}

func plainText(s string, most int) bool {
	if len(s) > most {
		return false
	}
	for {
		n := printed(s)
		if n == len(s) {
			return true
		}
		if b := s[n]; b != '\n' && b != '\t' && b != '\r' {
			return false
		}
		s = s[n+1:]
	}
}

// printed is how many bytes s begins with that are within ' ' and '~'. It looks at eight at once:
// in a word of which no byte is above 0x7f, a borrow or a carry goes into a byte's highest bit
// only where that byte is below ' ', or is 0x7f; the first such byte is then looked for.
func printed(s string) int {
	n := 0
	for ; len(s)-n >= 8; n += 8 {
		v := word(s[n : n+8])
		if (v|(v-ones*' ')|(v+ones))&highs != 0 {
			break
		}
	}
	for n < len(s) && s[n] >= ' ' && s[n] <= '~' {
		n++
	}
	return n
}

// ones has a 1 in each byte, highs the highest bit of each.
const ones, highs = 0x0101010101010101, 0x8080808080808080

// word is eight bytes as one number.
func word[T string | []byte](s T) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func fits(s string, most int) bool {
	return utf8.ValidString(s) && (len(s) <= most || utf8.RuneCountInString(s) <= most)
}

func notInLine(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

func notInText(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }
