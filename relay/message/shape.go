// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

// matcher is a shape that a member must have: a *regexp.Regexp, or a shape below.
type matcher interface{ MatchString(s string) bool }

// shape is matched letter by letter: most members of each message have one, and regular
// expressions took a third of what checking a message costs.
type shape func(s string) bool

// MatchString implements matcher.
func (f shape) MatchString(s string) bool { return f(s) }

var (
	// ulidShape is ^[0-7][0-9A-HJKMNP-TV-Z]{25}$.
	ulidShape = shape(func(s string) bool {
		return len(s) == 26 && s[0] >= '0' && s[0] <= '7' && all(s, func(b byte) bool {
			return digit(b) || upper(b) && b != 'I' && b != 'L' && b != 'O' && b != 'U'
		})
	})
	// wordShape is ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$.
	wordShape = shape(func(s string) bool {
		return within(s, 64) && alphanumeric(s[0]) && all(s, func(b byte) bool { return alphanumeric(b) || punctuation(b) })
	})
	// kindShape is ^[A-Z][A-Z0-9_]{0,31}$.
	kindShape = shape(func(s string) bool {
		return within(s, 32) && upper(s[0]) && all(s, func(b byte) bool { return upper(b) || digit(b) || b == '_' })
	})
	// trustShape is ^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$.
	trustShape = shape(func(s string) bool {
		edge := func(b byte) bool { return lower(b) || digit(b) }
		return within(s, 255) && edge(s[0]) && edge(s[len(s)-1]) && all(s, func(b byte) bool { return edge(b) || punctuation(b) })
	})
)

func within(s string, most int) bool { return len(s) > 0 && len(s) <= most }

func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

func digit(b byte) bool        { return b >= '0' && b <= '9' }
func upper(b byte) bool        { return b >= 'A' && b <= 'Z' }
func lower(b byte) bool        { return b >= 'a' && b <= 'z' }
func alphanumeric(b byte) bool { return digit(b) || upper(b) || lower(b) }
func punctuation(b byte) bool  { return b == '.' || b == '_' || b == '-' }
