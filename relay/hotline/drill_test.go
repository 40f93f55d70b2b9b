// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// The rules hold for a client's message, whatever it says of itself.
func TestNothingThatAClientWritesLeavesAsADrill(t *testing.T) {
	drill := func(id string) desk.SendRequest {
		r := request(id, "s")
		r.Hotline, r.Officer, r.Exercise = "to-bravo", "", "spring"
		return r
	}
	bubble(t, "it_becomes_a_draft", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		m, _, err := w.alfa.engine().Send(as(t, "desk/eve"), drill(firstID))
		if err != nil || m.State != desk.StateDraft || m.Exercise != "spring" || len(w.alfa.list(store.Out)) != 0 {
			t.Errorf("%+v, %v", m, err)
		}
		for _, path := range []string{"desk", "desk/rob"} {
			r := drill("")
			if path == "desk" {
				r.Officer = "Officer One"
			}
			_, _, err = w.alfa.engine().Send(as(t, path), r)
			wantForbidden(t, err, "")
		}
		if _, err := w.alfa.release(t, "desk/rob", firstID); err != nil {
			t.Error(err)
		}
	})
	bubble(t, "the_rule_comes_while_it_is_on_its_way_to_the_journal", func(t *testing.T, w *world) {
		ctx := as(t, "desk/ann")
		w.alfa.apply(nil, shift...)
		l, p, err := w.alfa.engine().compose(ctx, drill(firstID))
		if err != nil {
			t.Fatal(err)
		}
		w.alfa.apply(twoPersons(), shift...)
		_, err = w.alfa.engine().enqueue(ctx, l, p)
		wantForbidden(t, err, "send it as a draft")
	})
	bubble(t, "our_relay_sends_the_steps_of_a_drill", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		r := drill(firstID)
		r.Officer = "Rob Example"
		if m, _, err := w.alfa.engine().Send(t.Context(), r); err != nil || m.State == desk.StateDraft || m.Exercise != "spring" {
			t.Errorf("%+v, %v", m, err)
		}
		r.ID, r.Exercise = "", ""
		_, _, err := w.alfa.engine().Send(t.Context(), r) // what is no drill's
		wantForbidden(t, err, "certificate of a single officer")
	})
}

func TestWhoMayBeginADrill(t *testing.T) {
	steps := func(precedence string) []desk.SendRequest {
		return []desk.SendRequest{{Hotline: "to-bravo", Kind: "NOTIFICATION", Precedence: precedence, TLP: "AMBER"}}
	}
	bubble(t, "by_the_rules", func(t *testing.T, w *world) {
		flashFree := &config.Release{Quorum: 2, Rules: []config.ReleaseRule{{Precedences: []string{"FLASH"}}}}
		relay := func(*testing.T, string) context.Context { return t.Context() }
		for name, c := range map[string]struct {
			rules                  *config.Release
			path, officer          string
			precedence             string
			as                     func(*testing.T, string) context.Context
			identity, called, want string
		}{
			"nobody_asks_for_a_release":         {path: "desk/eve", called: "Eve Example", identity: "spiffe://alfa.example/desk/eve"},
			"the_shared_certificate_names_one":  {path: "desk", officer: "Ada", called: "Ada", identity: "spiffe://alfa.example/desk"},
			"the_shared_certificate_names_none": {path: "desk", want: "officer: is required"},
			"another_name":                      {path: "desk/eve", officer: "Ada", want: `is "Ada", but the certificate is that of "Eve Example"`},
			"who_may_only_release":              {path: "desk/rob", called: "Rob Example", identity: "spiffe://alfa.example/desk/rob"},
			"rules_and_who_may_release":         {rules: flashFree, path: "desk/rob", called: "Rob Example", identity: "spiffe://alfa.example/desk/rob"},
			"rules_and_who_may_not":             {rules: flashFree, path: "desk/eve", want: "takes the role Release"},
			"rules_and_the_shared_certificate":  {rules: flashFree, path: "desk", officer: "Ada", want: "certificate of a single officer"},
			"rules_and_no_identity":             {rules: flashFree, as: relay, officer: "Ada", want: "certificate of a single officer"},
			"what_the_rules_let_go":             {rules: flashFree, path: "desk/eve", precedence: "FLASH", called: "Eve Example", identity: "spiffe://alfa.example/desk/eve"},
			"who_is_no_officer_any_more":        {path: "desk/mallory", want: "there is no officer"},
		} {
			w.alfa.apply(c.rules, shift...)
			if c.as == nil {
				c.as = as
			}
			if c.precedence == "" {
				c.precedence = "ROUTINE"
			}
			identity, called, err := w.alfa.engine().MayDrill(c.as(t, c.path), c.officer, steps(c.precedence))
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) || c.want == "" && err != nil {
				t.Errorf("%s: error is %v, want %q", name, err, c.want)
			}
			if identity != c.identity || called != c.called {
				t.Errorf("%s: begun by %q %q", name, identity, called)
			}
		}
		_, _, err := w.alfa.engine().MayDrill(t.Context(), "Ada", []desk.SendRequest{{Hotline: "to-nowhere"}})
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestAnAcknowledgementSaysNothingThatWasNotReleased(t *testing.T) {
	bubble(t, "where_the_hotline_asks_for_a_release", func(t *testing.T, w *world) {
		sent := w.bravo.send(request("", "s"))
		w.quiet()
		w.alfa.apply(twoPersons(), shift...)
		_, err := w.alfa.engine().Acknowledge(as(t, "desk/rob"), "bravo", sent.ID, desk.AckRequest{Text: "By the way"})
		wantForbidden(t, err, "acknowledge without a text")
		if m, err := w.alfa.engine().Acknowledge(as(t, "desk/rob"), "bravo", sent.ID, desk.AckRequest{}); err != nil || m.Kind != "ACK" {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// One id is a draft or a message, for good: whoever repeats a request that was rejected
// meanwhile sends nothing, even when the rules are gone.
func TestWhatBecameADraftIsNoMessageWhenTheRulesAreGone(t *testing.T) {
	for how, end := range map[string]func(*testing.T, *nation){
		"waits": func(*testing.T, *nation) {},
		"was_rejected": func(t *testing.T, n *nation) {
			if _, err := n.engine().RejectDraft(as(t, "desk/rob"), "bravo", firstID, desk.DraftAct{Reason: "no"}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for when, meanwhile := range map[string]func(*testing.T, *world){
			"at_once":                 func(*testing.T, *world) {},
			"later":                   func(_ *testing.T, w *world) { w.quiet() },
			"when_the_relay_is_again": func(_ *testing.T, w *world) { w.alfa.kill(); w.alfa.start(); w.quiet() },
		} {
			bubble(t, how+"_"+when, func(t *testing.T, w *world) {
				w.quiet() // the line was seen without drafts
				w.alfa.apply(twoPersons(), shift...)
				w.alfa.drafted(t, request(firstID, "s"))
				end(t, w.alfa)
				w.alfa.apply(nil, shift...)
				meanwhile(t, w)
				r := request(firstID, "s")
				r.Hotline, r.Officer = "to-bravo", ""
				_, _, err := w.alfa.engine().Send(as(t, "desk/eve"), r)
				wantConflict(t, err, "is that of a draft")
				if len(w.alfa.list(store.Out)) != 0 {
					t.Error("it left")
				}
			})
		}
	}
	bubble(t, "a_line_without_drafts_is_not_asked_each_time", func(t *testing.T, w *world) {
		w.quiet()
		if !w.alfa.engine().lineNamed("to-bravo").undrafted.Load() {
			t.Error("every message looks for a draft of its id")
		}
	})
}
