// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"regexp"
	"strings"
	"testing"
)

func FuzzShapesMatchWhatTheirExpressionsDo(f *testing.F) {
	shapes := map[string]shape{
		`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`:           ulidShape,
		`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`:       wordShape,
		`^[A-Z][A-Z0-9_]{0,31}$`:                  kindShape,
		`^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$`: trustShape,
		`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$`: langShape,
		`^[0-9a-f]{64}$`:                          hashShape,
		`^[ -~]*$`:                                func(s string) bool { return plainLine(s, len(s)) },
		`^[ -~\n\t\r]*$`:                          func(s string) bool { return plainText(s, len(s)) },
		`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?Z$`: func(s string) bool { return isTime([]byte(s)) },
	}
	expressions := map[string]*regexp.Regexp{}
	for text := range shapes {
		expressions[text] = regexp.MustCompile(text)
	}
	for _, s := range []string{
		"", "a", "A", "-", "a-", "a.b", "A_B", "É", "a\n", "\xff", "01KAN8QW0G5V3Z1M4T7R9XCDEF", "81KAN8QW0G5V3Z1M4T7R9XCDEF", "01KAN8QW0G5V3Z1M4T7R9XCDEI",
		"2026-01-02T03:04:05Z", "2026-01-02T03:04:60Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.1234567890Z", "2026-01-02T03:04:05,1Z",
		"2026-01-02t03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T03:04:0Z5", "alfa.example", ".alfa", "pt-BR", "pt-", "a-b", "zh-Hant-TW-x", "zh-a-b-c-d", "abcdefgh-abcdefgh1", strings.Repeat("0a", 32), strings.Repeat("0A", 32),
		"a text of more than eight bytes\nwith lines", "a text of \x7f more", "a text of\x80 more", "a text of m\x1fore", "\x01234567", "1234567\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff", "\n\n\n\n\n\n\n\n\n", strings.Repeat("a", 64), strings.Repeat("A", 32), strings.Repeat("a", 65), strings.Repeat("A", 33), strings.Repeat("a", 255), strings.Repeat("a", 256),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for text, is := range shapes {
			if got, want := is.MatchString(s), expressions[text].MatchString(s); got != want {
				t.Errorf("%q matches %s: %t, not %t", s, text, got, want)
			}
		}
	})
}
