// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/glossary"
	"github.com/certlink/certlink/relay/message"
)

func twoSided() desk.Glossary {
	ours := &glossary.Definition{Version: 2, Name: "armed attack", Language: "en", Definition: "An attack\nwith arms.", Message: "01JA", At: noon}
	theirs := &glossary.Definition{Version: 1, Name: "attaque armée\x1b[2J", Language: "fr", Definition: "=Une attaque", Message: "01JB", At: noon}
	return desk.Glossary{
		Hotline: "bravo", Peer: "bravo.example", PeerName: "CERT Bravo", Dropped: 3, Truncated: true,
		Terms: []glossary.Term{
			{ID: "armed-attack", State: glossary.ProposedByThem, Ours: ours, Theirs: theirs, TheirAnswer: &glossary.Answer{Position: "agreed", Message: "01JC", At: noon}},
			{ID: "incident", State: glossary.Disagreed, Ours: &glossary.Definition{Version: 1, Name: "incident", Language: "en", Definition: "Harm.", Message: "01JD", At: noon},
				TheirAnswer: &glossary.Answer{Position: "disagreed", Message: "01JE", At: noon}, Notes: []string{"version 1 of theirs was stated again\x1b"}},
			{ID: "peace", State: glossary.Agreed, Ours: &glossary.Definition{Version: 1, Name: "peace", Language: "en", Definition: "No war.", Message: "01JF", At: noon},
				TheirAnswer: &glossary.Answer{Position: "agreed", Message: "01JG", At: noon}},
		},
	}
}

func TestTheGlossaryIsPrinted(t *testing.T) {
	o, s := setup(t)
	for name, print := range map[string]func(g desk.Glossary) error{
		"glossary.txt":       o.printGlossary,
		"glossary-term.txt":  func(g desk.Glossary) error { return o.printTerm(g.Terms[0]) },
		"glossary-notes.txt": func(g desk.Glossary) error { return o.printTerm(g.Terms[1]) },
		"glossary.tbx":       func(g desk.Glossary) error { return writeTBX(o.Out, g) },
		"glossary.csv":       func(g desk.Glossary) error { return writeCSV(o.Out, g) },
		"glossary-agreed.csv": func(g desk.Glossary) error {
			g.Terms = agreedOnly(g.Terms)
			return writeCSV(o.Out, g)
		},
		"glossary.json": func(g desk.Glossary) error {
			f := asJSON
			return f.document(o.Out, g)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.out.Reset()
			if err := print(twoSided()); err != nil {
				t.Fatal(err)
			}
			golden(t, name, s.out.String())
		})
	}
}

func TestAnAnswerRepeatsWhatWasRead(t *testing.T) {
	theirs := twoSided().Terms[0].Theirs
	for name, test := range map[string]struct {
		id      string
		version int64
		err     string
	}{
		"their newest definition":      {"armed-attack", 1, ""},
		"one that they replaced":       {"armed-attack", 3, `their newest definition of "armed-attack" is version 1, not 3`},
		"a term that only we defined":  {"incident", 1, `they have no definition of "incident"`},
		"a term that nobody knows yet": {"war", 1, `has no term "war"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answerTo(twoSided(), test.id, test.version, glossary.Agrees)
			expect(t, err, test.err)
			want := &message.Term{ID: "armed-attack", Version: 1, Name: theirs.Name, Language: "fr", Definition: theirs.Definition, Position: "agreed"}
			if diff := cmp.Diff(want, got); test.err == "" && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAStatementIsSentTheOrdinaryWay(t *testing.T) {
	term := &message.Term{ID: "war", Version: 1, Name: "war", Language: "fr", Definition: "Guerre.", Position: "proposed"}
	for state, want := range map[string]string{
		"Queued":        "01J: version 1 of war proposed, stored on 2026-03-04 12:00:00.000Z\n",
		desk.StateDraft: "01J: version 1 of war proposed, waits for its release\n",
	} {
		t.Run(state, func(t *testing.T) {
			var got desk.SendRequest
			client := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
					t.Error(err)
				}
				_ = json.NewEncoder(w).Encode(desk.Message{ID: got.ID, State: state, StoredAt: noon})
			}))
			o, s := setup(t)
			f := &stateFlags{request: desk.SendRequest{ID: "01J", TLP: "GREEN", Officer: "alfa-duty"}}
			if err := o.stateTerm(t.Context(), &session{}, client, twoSided(), f, term); err != nil {
				t.Fatal(err)
			}
			wanted := desk.SendRequest{
				Hotline: "bravo", ID: "01J", Kind: "TERM", TLP: "GREEN", Language: "fr", Officer: "alfa-duty",
				Subject: "Term war, version 1: proposed", Text: "Guerre.", Term: term,
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Error(diff)
			}
			if s.out.String() != want {
				t.Errorf("got %q, want %q", s.out.String(), want)
			}
		})
	}
}
