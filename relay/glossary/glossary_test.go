// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package glossary

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/relay/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// says makes a statement from "us|them SERIAL POSITION vVERSION WORDS".
func says(t testing.TB, line string) Statement {
	t.Helper()
	var who, position, text string
	var serial, version int64
	if _, err := fmt.Sscanf(line, "%s %d %s v%d %s", &who, &serial, &position, &version, &text); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return Statement{
		Ours: who == "us", Message: fmt.Sprintf("%s-%d", who, serial), Serial: serial, At: noon.Add(time.Duration(serial) * time.Minute),
		Term: message.Term{ID: "attack", Version: version, Name: "attack", Language: "en", Definition: text, Position: position},
	}
}

func TestHowATermStands(t *testing.T) {
	for name, test := range map[string]struct {
		said  []string
		want  State
		notes []string
	}{
		"ours is proposed":                 {said: []string{"us 1 proposed v1 a"}, want: ProposedByUs},
		"theirs is proposed":               {said: []string{"them 1 proposed v1 a"}, want: ProposedByThem},
		"both have proposed":               {said: []string{"us 1 proposed v1 a", "them 1 proposed v1 b"}, want: ProposedByBoth},
		"they agree to ours":               {said: []string{"us 1 proposed v1 a", "them 1 agreed v1 a"}, want: Agreed},
		"we agree to theirs":               {said: []string{"them 4 proposed v2 a", "us 1 agreed v2 a"}, want: Agreed},
		"both agree to both":               {said: []string{"us 1 proposed v1 a", "them 1 agreed v1 a", "them 2 proposed v1 b", "us 2 agreed v1 b"}, want: Agreed},
		"one of two is agreed":             {said: []string{"us 1 proposed v1 a", "them 1 agreed v1 a", "them 2 proposed v1 b"}, want: ProposedByThem},
		"the other of two is agreed":       {said: []string{"us 1 proposed v1 a", "them 2 proposed v1 b", "us 2 agreed v1 b"}, want: ProposedByUs},
		"they disagree":                    {said: []string{"us 1 proposed v1 a", "them 1 disagreed v1 a"}, want: Disagreed},
		"one of two is refused":            {said: []string{"us 1 proposed v1 a", "them 1 disagreed v1 a", "them 2 proposed v1 b"}, want: Disagreed},
		"a later answer counts":            {said: []string{"us 1 proposed v1 a", "them 1 disagreed v1 a", "them 2 agreed v1 a"}, want: Agreed},
		"a later refusal counts":           {said: []string{"us 1 proposed v1 a", "them 1 agreed v1 a", "them 2 disagreed v1 a"}, want: Disagreed},
		"a newer definition opens it":      {said: []string{"us 1 proposed v1 a", "them 1 agreed v1 a", "us 2 proposed v2 b"}, want: ProposedByUs},
		"a newer one of theirs opens it":   {said: []string{"us 1 proposed v1 a", "them 1 agreed v1 a", "them 2 proposed v1 b"}, want: ProposedByThem},
		"an answer to an older one is old": {said: []string{"us 1 proposed v1 a", "us 2 proposed v2 b", "them 1 agreed v1 a"}, want: ProposedByUs},
		"a refused one is proposed anew":   {said: []string{"us 1 proposed v1 a", "them 1 disagreed v1 a", "us 2 proposed v2 b"}, want: ProposedByUs},
		"the same again changes nothing":   {said: []string{"us 1 proposed v1 a", "us 2 proposed v1 a", "them 1 agreed v1 a", "them 2 agreed v1 a"}, want: Agreed},
		"versions may be left out":         {said: []string{"us 1 proposed v7 a", "them 1 agreed v7 a"}, want: Agreed},
		"one version with two definitions": {
			said: []string{"them 1 proposed v1 a", "us 1 agreed v1 a", "them 2 proposed v1 b"}, want: Agreed,
			notes: []string{"version 1 of theirs has another definition in them-2: the first counts"},
		},
		"one that was held back comes late": {
			said: []string{"them 2 proposed v1 b", "us 1 agreed v1 b", "them 1 proposed v1 a"}, want: ProposedByThem,
			notes: []string{"version 1 of theirs has another definition in them-2: the first counts", "the answer of ours (us-1) repeats other words than version 1 of theirs: it does not count"},
		},
		"versions that go back": {
			said: []string{"them 1 proposed v2 a", "them 2 proposed v1 b"}, want: ProposedByThem,
			notes: []string{"version 1 of theirs was stated again (them-2) after version 2: it does not count"},
		},
		"agreement to other words": {
			said: []string{"us 1 proposed v1 a", "them 1 agreed v1 b"}, want: ProposedByUs,
			notes: []string{"the answer of theirs (them-1) repeats other words than version 1 of ours: it does not count"},
		},
		"agreement that is taken back by other words": {
			said: []string{"us 1 proposed v1 a", "them 1 agreed v1 a", "them 2 agreed v1 b"}, want: ProposedByUs,
			notes: []string{"the answer of theirs (them-2) repeats other words than version 1 of ours: it does not count"},
		},
		"an answer to nothing": {
			said: []string{"them 1 agreed v3 a"}, want: Unclear,
			notes: []string{"an answer of theirs (them-1) is about version 3 of ours, which is not here"},
		},
		"an answer to what is to come": {
			said: []string{"us 1 proposed v1 a", "them 1 agreed v9 a", "them 2 agreed v8 a"}, want: ProposedByUs,
			notes: []string{"an answer of theirs (them-2) is about version 8 of ours, which is not here"},
		},
		"one cannot agree with oneself": {
			said: []string{"them 1 proposed v1 a", "them 2 agreed v1 a"}, want: ProposedByThem,
			notes: []string{"an answer of theirs (them-2) is about version 1 of ours, which is not here"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var first []Term
			for round := range 12 {
				said := append([]string(nil), test.said...)
				if round > 0 {
					rand.Shuffle(len(said), func(i, j int) { said[i], said[j] = said[j], said[i] })
				}
				var g Glossary
				for _, line := range said {
					g.Add(says(t, line))
				}
				if round == 0 {
					first = g.Terms()
				}
				if diff := cmp.Diff(first, g.Terms(), cmpopts.IgnoreUnexported(Definition{})); diff != "" {
					t.Fatalf("in the order %q (-first +now):\n%s", said, diff)
				}
			}
			if len(first) != 1 || first[0].State != test.want {
				t.Fatalf("got %+v, want %s", first, test.want)
			}
			if diff := cmp.Diff(test.notes, first[0].Notes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAGlossaryIsBounded(t *testing.T) {
	var g Glossary
	for i := range MaxTerms + 7 {
		s := says(t, "them 1 proposed v1 a")
		s.ID, s.Serial = fmt.Sprint("t", i), int64(i+1)
		if got, want := g.Add(s), i < MaxTerms; got != want {
			t.Fatalf("term %d: %v", i, got)
		}
	}
	ours := says(t, "us 1 proposed v1 a")
	if !g.Add(ours) {
		t.Error("their terms leave no room for ours")
	}
	if len(g.Terms()) != MaxTerms+1 || g.Dropped() != 7 {
		t.Errorf("%d terms, %d dropped", len(g.Terms()), g.Dropped())
	}
	for i := range 10 * kept {
		s := says(t, "them 1 agreed v1 b")
		s.Serial = int64(i)
		g.Add(s)
	}
	got, _ := g.Term("attack")
	if n := len(g.terms["attack"].sides[theirSide].answers); n != kept || len(got.Notes) != 1 {
		t.Errorf("%d answers are kept, notes %q", n, got.Notes)
	}
}

func TestTermsInAMessage(t *testing.T) {
	define := func(language, name string) *Definition {
		return &Definition{Version: 1, Name: name, Language: language, Definition: "d"}
	}
	terms := []Term{
		{ID: "attack", State: Disagreed, Ours: define("en", "Cyber-Attack"), Theirs: define("de", "Angriff")},
		{ID: "incident", State: ProposedByUs, Ours: define("en-GB", "incident")},
		{ID: "network", State: ProposedByThem, Theirs: define("zh", "网络")},
		{ID: "peace", State: Agreed, Ours: define("en", "peace")},
		{ID: "signs", State: Disagreed, Ours: define("en", "!?")},
	}
	for name, test := range map[string]struct {
		m    message.Message
		want []string
	}{
		"a word in another case":        {message.Message{Language: "en", Text: "A CYBER ATTACK!"}, []string{"attack"}},
		"a hyphen is a space":           {message.Message{Language: "en", Text: "cyber-attack"}, []string{"attack"}},
		"a line end is a space":         {message.Message{Language: "en", Text: "the cyber\nattack"}, []string{"attack"}},
		"a part of a word is no word":   {message.Message{Language: "en", Text: "incidental cyber attacks"}, nil},
		"a region does not matter":      {message.Message{Language: "en-US", Subject: "Incident"}, []string{"incident"}},
		"an agreed term is none":        {message.Message{Language: "en", Text: "peace"}, nil},
		"in its own language only":      {message.Message{Language: "de", Text: "cyber attack"}, nil},
		"each side has its own name":    {message.Message{Language: "de", Text: "Ein Angriff."}, []string{"attack"}},
		"translations count":            {message.Message{Language: "fr", Text: "rien", Translations: []message.Translation{{Language: "de", Text: "ANGRIFF"}}}, []string{"attack"}},
		"a text without language":       {message.Message{Text: "angriff incident"}, []string{"attack", "incident"}},
		"where words have no spaces":    {message.Message{Language: "zh-Hans", Text: "一次网络事件"}, []string{"network"}},
		"wide letters are letters":      {message.Message{Language: "en", Text: "ｉｎｃｉｄｅｎｔ"}, []string{"incident"}},
		"letters without width hide no": {message.Message{Language: "en", Text: "inci\u200bdent"}, []string{"incident"}},
		"the graver first, each once":   {message.Message{Language: "en", Text: "incident incident, cyber attack, cyber attack"}, []string{"attack", "incident"}},
		"terms themselves are free":     {message.Message{Kind: message.TermKind, Language: "en", Text: "incident"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range Lint(terms, &test.m) {
				got = append(got, f.Term)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	flags := Lint(terms, &message.Message{Language: "en", Text: "incident, cyber attack"})
	want := []string{
		`"Cyber-Attack" (en): the two sides disagree on what it means: see the glossary, term attack`,
		`"incident" (en): our definition is not agreed yet: see the glossary, term incident`,
	}
	for i := range want {
		if flags[i].String() != want[i] {
			t.Errorf("got %s, want %s", flags[i], want[i])
		}
	}
}

func TestALookAtAMessageIsBounded(t *testing.T) {
	var terms []Term
	for i := range 2 * MaxFlags {
		terms = append(terms, Term{ID: fmt.Sprint("t", i), State: ProposedByUs, Ours: &Definition{Name: fmt.Sprint("a a w", i), Language: "en"}})
	}
	var all strings.Builder
	for i := range 2 * MaxFlags {
		fmt.Fprintf(&all, "a a w%d ", i)
	}
	if got := Lint(terms, &message.Message{Language: "en", Text: all.String()}); len(got) != MaxFlags {
		t.Errorf("%d flags", len(got))
	}
	long := message.Message{Language: "en", Text: strings.Repeat("a ", maxWords)}
	if got := Lint(terms, &long); len(got) != 0 {
		t.Errorf("flags %v", got)
	}
	long.Translations = []message.Translation{{Language: "en", Text: "a a w1"}}
	if got := Lint(terms, &long); len(got) != 1 || !got[0].Unread {
		t.Errorf("flags %v", got)
	}
}

func FuzzStatements(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var said []Statement
		for i := 0; i+2 < len(raw) && len(said) < 40; i += 3 {
			position := []string{Proposed, Agrees, Disagrees}[raw[i]%3]
			said = append(said, Statement{
				Ours: raw[i]&64 != 0, Message: fmt.Sprint(i), Serial: int64(i + 1),
				Term: message.Term{ID: fmt.Sprint(raw[i+1] % 3), Version: int64(raw[i+1]>>4) + 1, Name: "n", Definition: fmt.Sprint(raw[i+2] % 2), Position: position},
			})
		}
		var forth, back Glossary
		for i := range said {
			forth.Add(said[i])
			back.Add(said[len(said)-1-i])
		}
		if diff := cmp.Diff(forth.Terms(), back.Terms(), cmpopts.IgnoreUnexported(Definition{})); diff != "" && len(said) <= kept {
			t.Error(diff)
		}
		for _, term := range forth.Terms() {
			whole := term.State == Agreed
			for _, side := range []struct {
				d *Definition
				a *Answer
			}{{term.Ours, term.TheirAnswer}, {term.Theirs, term.OurAnswer}} {
				if whole && side.d != nil && (side.a == nil || side.a.Position != Agrees) {
					t.Errorf("agreed without an answer: %+v", term)
				}
			}
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add("Ein Angriff, 网络 \u200b!", 5)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most %= 1000
		if got := words(text, most); len(got) > max(most, 0) {
			t.Errorf("%d words are more than %d", len(got), most)
		}
	})
}
