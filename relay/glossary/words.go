// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package glossary

import (
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// spaceless are scripts that put no space between words: each letter counts as a word.
var spaceless = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan}

// words splits a text into words, at most most, with upper and lower case, compatible
// forms of letters and hyphens made the same. What has no width is left out, so that it
// hides nothing.
func words(text string, most int) []string {
	text = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(text)))
	var found []string
	begin := -1
	var word []rune
	end := func() {
		if begin >= 0 {
			found = append(found, string(word))
			begin, word = -1, word[:0]
		}
	}
	for at, r := range text {
		if len(found) >= most {
			return found
		}
		switch {
		case unicode.Is(unicode.Cf, r):
		case unicode.In(r, spaceless...) && !unicode.Is(unicode.P, r):
			end()
			found = append(found, string(r))
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
			if begin < 0 {
				begin = at
			}
			word = append(word, r)
		default:
			end()
		}
	}
	if len(found) < most {
		end()
	}
	return found
}

// node of a tree of names, one word for each step.
type node struct {
	next  map[string]*node
	flags []Flag
}

// add puts a name into the tree.
func (n *node) add(name []string, f Flag) {
	if len(name) == 0 {
		return // a name of signs alone is found nowhere
	}
	for _, w := range name {
		if n.next == nil {
			n.next = map[string]*node{}
		}
		if n.next[w] == nil {
			n.next[w] = &node{}
		}
		n = n.next[w]
	}
	n.flags = append(n.flags, f)
}

// find calls hit for each name that stands in a text. A name has at most 128 letters, so
// this takes at most 128 steps for each word.
func (n *node) find(text []string, hit func(Flag)) {
	for i := range text {
		at := n
		for _, w := range text[i:] {
			if at = at.next[w]; at == nil {
				break
			}
			for _, f := range at.flags {
				hit(f)
			}
		}
	}
}
