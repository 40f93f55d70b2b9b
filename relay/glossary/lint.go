// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package glossary

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/certlink/certlink/relay/message"
)

// Bounds of a look at a message.
const (
	// MaxFlags is the largest number of flags of one message, the graver ones first.
	MaxFlags = 16
	// maxWords is how many words of a message are looked at, in all its languages.
	maxWords = 200_000
)

// Flag says that a message uses a term that is not agreed.
type Flag struct {
	// Term is its id and State its state.
	Term  string `json:"term,omitempty"`
	State State  `json:"state,omitempty"`
	// Name as it was found, and the language of the text that has it.
	Name     string `json:"name,omitempty"`
	Language string `json:"language,omitempty"`
	// Unread: the message is longer than what is looked at.
	Unread bool `json:"unread,omitempty"`
}

// String is the flag for people, on one line.
func (f Flag) String() string {
	if f.Unread {
		return fmt.Sprintf("only the first %d words were compared with the glossary", maxWords)
	}
	where := fmt.Sprintf("%q (%s): ", f.Name, f.Language)
	tail := ": see the glossary, term " + f.Term
	switch f.State {
	case Disagreed:
		return where + "the two sides disagree on what it means" + tail
	case ProposedByUs:
		return where + "our definition is not agreed yet" + tail
	case ProposedByThem:
		return where + "their definition waits for our answer" + tail
	default:
		return where + "its definition is not agreed" + tail
	}
}

// Lint finds terms that are not agreed in a message that is being written: in subject and
// text, in its own language and in translations. A name is looked for in texts of its own
// language only. Disagreed ones come first. Each term is told once.
func Lint(terms []Term, m *message.Message) []Flag {
	if slices.Contains([]message.Kind{message.TermKind, message.ACK, message.LineCheckKind}, m.Kind) {
		return nil
	}
	names := map[string]*node{} // by base language
	for _, t := range terms {
		if t.State == Agreed {
			continue
		}
		for _, d := range []*Definition{t.Ours, t.Theirs} {
			if d == nil {
				continue
			}
			base := baseOf(d.Language)
			if names[base] == nil {
				names[base] = &node{}
			}
			names[base].add(words(d.Name, maxWords), Flag{Term: t.ID, State: t.State, Name: d.Name})
		}
	}
	if len(names) == 0 {
		return nil
	}
	return look(names, m)
}

// text is one part of a message.
type text struct{ language, content string }

func look(names map[string]*node, m *message.Message) []Flag {
	texts := []text{{m.Language, m.Subject}, {m.Language, m.Text}}
	for _, t := range m.Translations {
		texts = append(texts, text{t.Language, t.Subject}, text{t.Language, t.Text})
	}
	found, left := map[string]Flag{}, maxWords
	for _, t := range texts {
		read := words(t.content, left+1)
		if len(read) > left {
			read = read[:left]
			found[""] = Flag{Unread: true}
		}
		left -= len(read)
		for _, base := range slices.Sorted(maps.Keys(names)) {
			if own := baseOf(t.language); own != base && own != undetermined && base != undetermined {
				continue
			}
			names[base].find(read, func(f Flag) {
				if _, known := found[f.Term]; !known {
					f.Language = t.language
					found[f.Term] = f
				}
			})
		}
	}
	return ordered(found)
}

// ordered puts the gravest first, and bounds them.
func ordered(found map[string]Flag) []Flag {
	flags := make([]Flag, 0, len(found))
	for _, f := range found {
		flags = append(flags, f)
	}
	rank := func(f Flag) int {
		if f.State == Disagreed {
			return 0
		}
		return 1
	}
	slices.SortFunc(flags, func(a, b Flag) int {
		if order := rank(a) - rank(b); order != 0 {
			return order
		}
		return strings.Compare(a.Term, b.Term)
	})
	return flags[:min(len(flags), MaxFlags)]
}

const undetermined = "und"

// baseOf is the language without region and script: en-GB is en.
func baseOf(tag string) string {
	parsed, err := language.Parse(tag)
	if err != nil {
		first, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if first == "" {
			return undetermined
		}
		return first
	}
	if parsed == language.Und {
		return undetermined
	}
	base, _ := parsed.Base()
	return base.String()
}
