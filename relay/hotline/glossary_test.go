// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/glossary"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// stated makes a request that states something of a term.
func stated(position string, version int64, definition string) desk.SendRequest {
	r := request("", "Term attack")
	r.Kind, r.Text = "TERM", definition
	r.Term = &message.Term{ID: "attack", Version: version, Name: "attack", Language: "en", Definition: definition, Position: position}
	return r
}

func (n *nation) term(t *testing.T) glossary.Term {
	t.Helper()
	g, err := n.engine().Glossary(t.Context(), n.config.Hotlines[0].Name)
	if err != nil || len(g.Terms) != 1 {
		t.Fatalf("%s has the glossary %+v, %v", n.name, g, err)
	}
	return g.Terms[0]
}

func TestGlossary(t *testing.T) {
	bubble(t, "a_term_is_proposed_refused_proposed_anew_and_agreed", func(t *testing.T, w *world) {
		check := func(ours, theirs glossary.State) {
			t.Helper()
			<-time.After(time.Minute)
			if a, b := w.alfa.term(t).State, w.bravo.term(t).State; a != ours || b != theirs {
				t.Errorf("alfa has it as %s, bravo as %s; want %s and %s", a, b, ours, theirs)
			}
		}
		w.alfa.send(stated("proposed", 1, "harm"))
		check(glossary.ProposedByUs, glossary.ProposedByThem)
		w.bravo.send(stated("disagreed", 1, "harm"))
		check(glossary.Disagreed, glossary.Disagreed)
		draft := Payload{Kind: message.Notification, Language: "en", Text: "An ATTACK."}
		if got := w.alfa.engine().LintTerms(t.Context(), "bravo.example", &draft); len(got) != 1 || !strings.Contains(got[0], "the two sides disagree") {
			t.Errorf("warnings %q", got)
		}
		w.alfa.send(stated("proposed", 2, "armed harm"))
		check(glossary.ProposedByUs, glossary.ProposedByThem)
		agreed := w.bravo.send(stated("agreed", 2, "armed harm"))
		check(glossary.Agreed, glossary.Agreed)
		if got := w.alfa.engine().LintTerms(t.Context(), "bravo.example", &draft); len(got) != 0 {
			t.Errorf("warnings %q", got)
		}
		w.bravo.about("CANCEL", "never mind", agreed.ID)
		check(glossary.ProposedByUs, glossary.ProposedByThem)
	})
	bubble(t, "what_cannot_be_stated_is_refused", func(t *testing.T, w *world) {
		w.alfa.send(stated("proposed", 3, "harm"))
		<-time.After(time.Minute)
		for name, test := range map[string]struct {
			who  *nation
			r    desk.SendRequest
			want string
		}{
			"an old version":        {w.alfa, stated("proposed", 3, "other"), "term/version: must be more than 3"},
			"agreement to oneself":  {w.alfa, stated("agreed", 3, "harm"), "term/id: they have proposed no such term"},
			"to another version":    {w.bravo, stated("agreed", 2, "harm"), "term/version: must be 3"},
			"to other words":        {w.bravo, stated("agreed", 3, "no harm"), "term/definition: name, language and definition must be theirs"},
			"a term that says none": {w.bravo, func() desk.SendRequest { r := request("", "s"); r.Kind = "TERM"; return r }(), "term: is required"},
		} {
			r := test.r
			r.Hotline = test.who.config.Hotlines[0].Name
			_, _, err := test.who.engine().Send(t.Context(), r)
			var invalid *desk.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %s", name, err, test.want)
			}
		}
	})
	bubble(t, "a_hotline_that_is_not_there_has_none", func(t *testing.T, w *world) {
		if _, err := w.alfa.engine().Glossary(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("error is %v", err)
		}
	})
}
