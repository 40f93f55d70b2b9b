// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import "strings"

// matcher is a shape that a member must have: a *regexp.Regexp, or a shape below.
type matcher interface{ MatchString(s string) bool }

// shape is matched letter by letter: most members of each message have one, and regular
// expressions took a third of what checking a message costs.
type shape func(s string) bool

// MatchString implements matcher.
func (f shape) MatchString(s string) bool { return f(s) }

var (
	// ulidShape is ^[0-7][0-9A-HJKMNP-TV-Z]{25}$.
	ulidShape = shape(func(s string) bool { return len(s) == 26 && s[0] >= '0' && s[0] <= '7' && all(s, inULID) })
	// wordShape is ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$.
	wordShape = shape(func(s string) bool {
		return within(s, 64) && is(s[0], isDigit|isUpper|isLower) && all(s, isDigit|isUpper|isLower|isPunctuation)
	})
	// kindShape is ^[A-Z][A-Z0-9_]{0,31}$.
	kindShape = shape(func(s string) bool {
		return within(s, 32) && is(s[0], isUpper) && all(s, isUpper|isDigit|isUnderscore)
	})
	// trustShape is ^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$.
	trustShape = shape(func(s string) bool {
		return within(s, 255) && is(s[0], isLower|isDigit) && is(s[len(s)-1], isLower|isDigit) && all(s, isLower|isDigit|isPunctuation)
	})
	// langShape is ^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$.
	langShape = shape(func(s string) bool {
		part, rest, more := strings.Cut(s, "-")
		ok := len(part) >= 2 && within(part, 8) && all(part, isUpper|isLower)
		for n := 0; ok && more; n++ {
			part, rest, more = strings.Cut(rest, "-")
			ok = n < 3 && within(part, 8) && all(part, isUpper|isLower|isDigit)
		}
		return ok
	})
	// hashShape is ^[0-9a-f]{64}$.
	hashShape = shape(func(s string) bool { return len(s) == 64 && all(s, inHex) })
)

func within(s string, most int) bool { return len(s) > 0 && len(s) <= most }

// class is a set of kinds of letters.
type class uint8

const (
	isDigit class = 1 << iota
	isUpper
	isLower
	// isPunctuation is a dot, a dash or an underscore, isUnderscore the last of these alone.
	isPunctuation
	isUnderscore
	// inULID is a letter of ULIDs, inHex a digit in lower-case hexadecimal.
	inULID
	inHex
)

// classes of each letter.
var classes = func() (table [256]class) {
	note := func(letters string, c class) {
		for i := range len(letters) {
			table[letters[i]] |= c
		}
	}
	const digits, uppers, lowers = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
	note(digits, isDigit|inULID|inHex)
	note(uppers, isUpper)
	note(lowers, isLower)
	note("._-", isPunctuation)
	note("_", isUnderscore)
	note("ABCDEFGHJKMNPQRSTVWXYZ", inULID)
	note("abcdef", inHex)
	return table
}()

func is(b byte, c class) bool { return classes[b]&c != 0 }

func all(s string, c class) bool {
	for i := range len(s) {
		if !is(s[i], c) {
			return false
		}
	}
	return true
}
