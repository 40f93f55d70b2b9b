// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package mixedscript_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/certlink/certlink/internal/mixedscript"
)

func TestWordsThatMixScripts(t *testing.T) {
	for text, want := range map[string]bool{
		"":                         false,
		"Outage of the exchange":   false,
		"r\u0430ypal.example":      true, // a Cyrillic а
		"\u0430lfa.example":        true,
		"alfa.ex\u0430mple":        true,
		"p\u03b1ypal":              true, // a Greek alpha
		"pay\u13e2al":              true, // Cherokee
		"Атака на сервер Exchange": false,
		"DDoS-атака":               false,
		"почта@alfa.example":       false,
		"Exchangе":                 true, // its last letter is Cyrillic
		"naïve façade Ærø":         false,
		"e\u0301te\u0301":          false, // with marks of their own
		"東京タワーとSNS":                false,
		"서울에서SNS漢字":                false,
		"ㄅㄆ漢字abc":                  false,
		"ㄅㄆひら":                     true,
		"한글ひら":                     true,
		"CVE-2026-1234 и 5 µs":     false,
		"covid19\u043e":            true, // a digit does not end a word
		"\xff\u0430lf\xff":         true,
		"a\u200d\u0430":            true, // nor does what is not seen
		"рауаl":                    true,
		"раура":                    false, // wholly Cyrillic
		"العربية ABC":              false,
		"العربيةABC":               true,
	} {
		if got := mixedscript.In(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestEachLetterHasTheScriptThatUnicodeSays(t *testing.T) {
	free := map[string]bool{
		"Latin": true, "Common": true, "Inherited": true, // what may stand beside a Latin letter
		"Han": true, "Hiragana": true, "Katakana": true, "Bopomofo": true, "Hangul": true,
	}
	for name, table := range unicode.Scripts {
		letters := 0
		for r := range unicode.MaxRune + 1 {
			if !unicode.Is(table, r) || !unicode.IsLetter(r) && !unicode.IsMark(r) {
				continue
			}
			letters++
			if got := mixedscript.In("a" + string(r)); got == free[name] {
				t.Fatalf("a Latin letter and %q, which is %s: %v", r, name, got)
			}
		}
		if letters == 0 && name != "Braille" {
			t.Errorf("%s has no letters", name)
		}
	}
}

func FuzzIn(f *testing.F) {
	f.Add("r\u0430ypal", "漢字")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			return
		}
		if got, want := mixedscript.In(a+" "+b), mixedscript.In(a) || mixedscript.In(b); got != want {
			t.Errorf("together %v, apart %v", got, want)
		}
		if mixedscript.In(strings.Map(func(r rune) rune { return min(r, 'z') }, a)) {
			t.Error("ASCII mixes nothing")
		}
	})
}
