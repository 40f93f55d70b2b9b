// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package mixedscript finds words whose letters are of several scripts, as those have that are made to
// look like another word: a Cyrillic а in a Latin name. It says nothing of a word that is wholly in
// another script, and it is for a mark beside the word only: no text is refused for it.
package mixedscript

import (
	"cmp"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// together are the scripts that may share a word, beside each alone: the restriction level Highly
// Restrictive of Unicode Technical Standard 39, section 5.2, which is that of Japanese, of Chinese with
// Bopomofo, and of Korean, each with Latin.
var together = [][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

// In tells whether a word of the text mixes scripts that do not go together. A word ends at what is neither
// a letter, a mark nor a digit and is seen, so that the parts of an address, or of a word with a hyphen, count alone.
// Characters of all scripts, such as digits, belong to any. The time is that of reading the text.
func In(text string) bool {
	var word []*unicode.RangeTable // the scripts of this word
	var last *unicode.RangeTable   // the script of the last letter, which is mostly that of the next
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf && !isLetter(r):
			if r < '0' || r > '9' {
				word = word[:0]
			}
			continue
		case r < utf8.RuneSelf:
			last = unicode.Latin
		case !unicode.IsLetter(r) && !unicode.IsMark(r):
			if !unicode.IsDigit(r) && !unicode.Is(unicode.Cf, r) {
				word = word[:0]
			}
			continue
		case last == nil || !unicode.Is(last, r):
			last = scriptOf(r)
		}
		if last == nil || slices.Contains(word, last) {
			continue
		}
		if word = append(word, last); !fit(word) {
			return true
		}
	}
	return false
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// span are neighbours of one script.
type span struct {
	first, last rune
	script      *unicode.RangeTable
}

// spans are all characters that have a script, in order. Package unicode has a table for each of more than 160
// scripts: to ask each took a second for a list of messages whose words change their script with each letter.
var spans = sync.OnceValue(func() []span {
	var all []span
	add := func(first, last, stride rune, script *unicode.RangeTable) {
		if stride == 1 {
			all = append(all, span{first, last, script})
			return
		}
		for ; first <= last; first += stride {
			all = append(all, span{first, first, script})
		}
	}
	for _, script := range unicode.Scripts {
		for _, r := range script.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride), script)
		}
		for _, r := range script.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride), script) //nolint:gosec // at most unicode.MaxRune
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	return all
})

// scriptOf is the script of a letter, nil if it is of several or of none that is known.
func scriptOf(r rune) *unicode.RangeTable {
	all := spans()
	i, ok := slices.BinarySearchFunc(all, r, func(s span, r rune) int {
		switch {
		case s.last < r:
			return -1
		case s.first > r:
			return 1
		}
		return 0
	})
	if !ok || all[i].script == unicode.Common || all[i].script == unicode.Inherited {
		return nil
	}
	return all[i].script
}

// fit tells whether scripts may share a word.
func fit(word []*unicode.RangeTable) bool {
	if len(word) == 1 {
		return true
	}
	return slices.ContainsFunc(together, func(set []*unicode.RangeTable) bool {
		return !slices.ContainsFunc(word, func(s *unicode.RangeTable) bool { return !slices.Contains(set, s) })
	})
}
