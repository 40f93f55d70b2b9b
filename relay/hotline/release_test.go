// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// The officers of alfa: eve drafts, rob releases, ann and zoe do both.
var shift = []config.Officer{
	{Name: "eve", DisplayName: "Eve Example", Roles: []config.OfficerRole{config.Draft}},
	{Name: "rob", DisplayName: "Rob Example", Roles: []config.OfficerRole{config.ReleaseRole}},
	{Name: "ann", DisplayName: "Ann Example", Roles: []config.OfficerRole{config.Draft, config.ReleaseRole}},
	{Name: "zoe", DisplayName: "Zoe Example", Roles: []config.OfficerRole{config.Draft, config.ReleaseRole}},
}

// as is a request of an identity of alfa: "desk/eve".
func as(t *testing.T, path string) context.Context {
	t.Helper()
	return access.WithIdentity(t.Context(), "spiffe://alfa.example/"+path)
}

// apply makes rules and officers live.
func (n *nation) apply(rules *config.Release, officers ...config.Officer) {
	n.config.Hotlines[0].Release, n.config.Desk.Officers = rules, officers
	n.engine().Apply(n.config)
}

// drafted is a message of officer eve that waits.
func (n *nation) drafted(t *testing.T, r desk.SendRequest) desk.Message {
	t.Helper()
	r.Hotline, r.Officer = "to-bravo", ""
	m, created, err := n.engine().Send(as(t, "desk/eve"), r)
	if err != nil || !created || m.State != desk.StateDraft || m.Draft.State != desk.DraftWaiting {
		t.Fatalf("drafting: %+v, %v, %v", m, created, err)
	}
	return m
}

// release releases as an officer, with the content that the draft has now.
func (n *nation) release(t *testing.T, path, id string) (desk.Message, error) {
	t.Helper()
	m, err := n.engine().GetDraft(t.Context(), "bravo", id)
	if err != nil {
		t.Fatal(err)
	}
	return n.engine().ReleaseDraft(as(t, path), "bravo", id, desk.DraftAct{Hash: m.Draft.Hash})
}

// acts are those in the journal of the line to bravo, as "NAME by".
func (n *nation) acts(t *testing.T) (names []string, all []Act) {
	t.Helper()
	for _, b := range n.batches("bravo.example") {
		for _, e := range b.Entries {
			if e.Kind != string(journal.Act) {
				continue
			}
			var a Act
			if err := json.Unmarshal(e.Body, &a); err != nil {
				t.Fatal(err)
			}
			names = append(names, strings.TrimSpace(a.Name+" "+strings.TrimPrefix(a.By, "spiffe://alfa.example/desk/")))
			all = append(all, a)
		}
	}
	return names, all
}

func wantActs(t *testing.T, n *nation, want ...string) []Act {
	t.Helper()
	names, all := n.acts(t)
	for _, message := range []string{"", firstID} {
		if list, err := n.engine().ListActs(t.Context(), "to-bravo", message, 0); err != nil || len(list.Acts) != len(all) || list.Next != 0 {
			t.Errorf("acts about %q: %+v, %v", message, list, err)
		}
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("acts (-want +got):\n%s", diff)
	}
	return all
}

// twoPersons asks for another officer than the drafter.
func twoPersons() *config.Release { return &config.Release{Quorum: 1} }

func TestRelease(t *testing.T) {
	bubble(t, "a_draft_leaves_with_the_last_release_that_it_needs", func(t *testing.T, w *world) {
		w.alfa.apply(&config.Release{Quorum: 2}, shift...)
		m := w.alfa.drafted(t, request(firstID, "s"))
		if m.ID != firstID || m.Officer != "Eve Example" || m.Draft.Quorum != 2 || m.Draft.Drafter.Identity != "spiffe://alfa.example/desk/eve" || len(m.Draft.Hash) != 64 {
			t.Errorf("the draft is %+v, %+v", m, m.Draft)
		}
		w.quiet()
		if got := w.bravo.list(store.In); len(got) != 0 {
			t.Fatalf("a draft left: %+v", got)
		}
	})
	bubble(t, "the_receiver_sees_who_released_in_order", func(t *testing.T, w *world) {
		w.alfa.apply(&config.Release{Quorum: 2}, shift...)
		hash := w.alfa.drafted(t, request(firstID, "s")).Draft.Hash
		first, err := w.alfa.release(t, "desk/zoe", firstID)
		if err != nil || first.State != desk.StateDraft || len(first.Draft.Releases) != 1 {
			t.Fatalf("after one release: %+v, %v", first, err)
		}
		second, err := w.alfa.release(t, "desk/rob", firstID)
		if err != nil || second.State != "Queued" || second.Serial != 1 || second.Draft.State != desk.DraftSent {
			t.Fatalf("after two releases: %+v, %v", second, err)
		}
		w.quiet()
		got, err := w.bravo.engine().Get(t.Context(), store.In, "alfa", firstID)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range got.ReleasedBy {
			names = append(names, r.Officer+" "+r.Identity)
		}
		want := []string{"Zoe Example spiffe://alfa.example/desk/zoe", "Rob Example spiffe://alfa.example/desk/rob"}
		if diff := cmp.Diff(want, names); diff != "" || got.Officer != "Eve Example" {
			t.Errorf("bravo sees %+v (-want +got):\n%s", got, diff)
		}
		all := wantActs(t, w.alfa, "DRAFTED eve", "RELEASED zoe", "RELEASED rob", "SENT")
		for _, a := range all {
			if a.Message != firstID || a.Direction != "OUT" || a.Details["content_sha256"] != hash {
				t.Errorf("act %+v is not about the content %s", a, hash)
			}
		}
		w.alfa.proven(w.bravo, 1)
	})
	bubble(t, "without_rules_a_message_leaves_when_it_is_sent_and_says_who_sent_it", func(t *testing.T, w *world) {
		w.alfa.apply(nil, shift...)
		r := request(firstID, "s")
		r.Hotline, r.Officer = "to-bravo", ""
		m, _, err := w.alfa.engine().Send(as(t, "desk/eve"), r)
		if err != nil || m.State != "Queued" || m.Officer != "Eve Example" {
			t.Errorf("%+v, %v", m, err)
		}
		wantActs(t, w.alfa, "SENT eve")
	})
}

func TestReleaseRules(t *testing.T) {
	bubble(t, "FLASH_may_be_given_a_quorum_of_its_own", func(t *testing.T, w *world) {
		rules := twoPersons()
		w.faults(cut) // else the receipt may be there before the answer to whoever releases it
		rules.Rules = []config.ReleaseRule{{Precedences: []string{"FLASH"}, Quorum: 1, DrafterMayRelease: config.Allowed}}
		w.alfa.apply(rules, shift...)
		r := request(firstID, "s")
		r.Hotline, r.Officer, r.Precedence = "to-bravo", "", "FLASH"
		if m, _, err := w.alfa.engine().Send(as(t, "desk/ann"), r); err != nil || m.Draft == nil || !m.Draft.ExpiresAt.Equal(m.StoredAt.Add(time.Hour)) {
			t.Fatalf("%+v, %v", m, err)
		}
		if m, err := w.alfa.release(t, "desk/ann", firstID); err != nil || m.State != "Queued" {
			t.Errorf("%+v, %v", m, err)
		}
	})
	bubble(t, "acknowledgements_need_none_and_name_who_read", func(t *testing.T, w *world) {
		w.bravo.send(request(firstID, "s"))
		w.quiet()
		w.alfa.apply(twoPersons(), shift...)
		ack, err := w.alfa.engine().Acknowledge(as(t, "desk/rob"), "bravo", firstID, desk.AckRequest{})
		if err != nil || ack.Officer != "Rob Example" {
			t.Fatalf("%+v, %v", ack, err)
		}
		again, err := w.alfa.engine().Acknowledge(as(t, "desk/rob"), "bravo", firstID, desk.AckRequest{})
		if err != nil || again.ID != ack.ID {
			t.Errorf("repeated: %+v, %v", again, err)
		}
		all := wantActs(t, w.alfa, "ACKNOWLEDGED rob")
		if all[0].Message != firstID || all[0].Direction != "IN" {
			t.Errorf("the act is %+v", all[0])
		}
	})
	bubble(t, "the_glossary's_warnings_stay_with_the_draft", func(t *testing.T, w *world) {
		w.alfa.engine().cfg.Lint = func(_ context.Context, peer string, m *message.Message) []string {
			return []string{"term in " + m.Subject + " is disagreed with " + peer}
		}
		w.alfa.apply(twoPersons(), shift...)
		want := []string{"term in s is disagreed with bravo.example"}
		drafted := w.alfa.drafted(t, request(firstID, "s"))
		shown, err := w.alfa.engine().GetDraft(t.Context(), "bravo", firstID)
		if err != nil || !slices.Equal(drafted.Warnings, want) || !slices.Equal(shown.Warnings, want) {
			t.Errorf("the drafter sees %q, the releaser %q, %v", drafted.Warnings, shown.Warnings, err)
		}
		w.alfa.apply(nil, shift...)
		r := request("", "t")
		r.Hotline, r.Officer = "to-bravo", ""
		if m, _, err := w.alfa.engine().Send(as(t, "desk/eve"), r); err != nil || len(m.Warnings) != 1 {
			t.Errorf("who sends sees %q, %v", m.Warnings, err)
		}
	})
	bubble(t, "what_waits_shows_in_the_report", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		r := request(firstID, "s")
		r.Precedence = "IMMEDIATE"
		m := w.alfa.drafted(t, r)
		if got := w.alfa.report(); got.Drafts != 1 || !got.UrgentDraftSince.Equal(m.StoredAt) {
			t.Errorf("the report is %+v", got)
		}
		if waiting, err := w.alfa.engine().ListDrafts(t.Context(), "to-bravo", store.DraftQuery{Waiting: true, Limit: 2}); err != nil || len(waiting.Messages) != 1 {
			t.Errorf("%+v, %v", waiting, err)
		}
		if _, err := w.alfa.release(t, "desk/rob", firstID); err != nil {
			t.Fatal(err)
		}
		if got := w.alfa.report(); got.Drafts != 0 || !got.UrgentDraftSince.IsZero() {
			t.Errorf("the report is %+v", got)
		}
	})
}

func TestReleaseIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		drafter, releaser string
		officers          []config.Officer
		why               string
	}{
		"to_the_drafter":                       {"desk/ann", "desk/ann", shift, "another one must release"},
		"to_an_officer_without_the_role":       {"desk/ann", "desk/eve", shift, "takes the role Release"},
		"to_the_shared_certificate":            {"desk/ann", "desk", shift, "certificate of a single officer"},
		"to_a_tool":                            {"desk/ann", "tool", shift, "certificate of a single officer"},
		"to_the_operator":                      {"desk/ann", "operator", shift, "certificate of a single officer"},
		"to_an_officer_removed_a_moment_ago":   {"desk/ann", "desk/rob", shift[2:], "there is no officer"},
		"to_one_whose_role_was_taken":          {"desk/ann", "desk/eve", []config.Officer{shift[0]}, "takes the role Release"},
		"to_one_whose_name_begins_like_theirs": {"desk/ann", "desk/rob/x", shift, "certificate of a single officer"},
		"to_nobody":                            {"desk/ann", "", shift, "certificate of a single officer"},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.alfa.apply(twoPersons(), shift...)
			r := request(firstID, "s")
			r.Hotline, r.Officer = "to-bravo", ""
			if _, _, err := w.alfa.engine().Send(as(t, c.drafter), r); err != nil {
				t.Fatal(err)
			}
			w.alfa.apply(twoPersons(), c.officers...)
			var err error
			if c.releaser == "" {
				m, _ := w.alfa.engine().GetDraft(t.Context(), "bravo", firstID)
				_, err = w.alfa.engine().ReleaseDraft(t.Context(), "bravo", firstID, desk.DraftAct{Hash: m.Draft.Hash})
			} else {
				_, err = w.alfa.release(t, c.releaser, firstID)
			}
			wantForbidden(t, err, c.why)
			if got := w.alfa.list(store.Out); len(got) != 0 {
				t.Errorf("it left: %+v", got)
			}
		})
	}
}

func TestReleaseIsRefusedLater(t *testing.T) {
	bubble(t, "to_a_peer's_identity", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		m := w.alfa.drafted(t, request(firstID, "s"))
		ctx := access.WithIdentity(t.Context(), "spiffe://bravo.example/desk/rob")
		_, err := w.alfa.engine().ReleaseDraft(ctx, "bravo", firstID, desk.DraftAct{Hash: m.Draft.Hash})
		wantForbidden(t, err, "no identity of ours")
	})
	bubble(t, "a_second_time_by_the_same_officer_with_a_renewed_certificate", func(t *testing.T, w *world) {
		w.alfa.apply(&config.Release{Quorum: 2}, shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		for range 3 { // a certificate is known by its SPIFFE ID: a renewed one is the same officer
			if m, err := w.alfa.release(t, "desk/rob", firstID); err != nil || m.State != desk.StateDraft || len(m.Draft.Releases) != 1 {
				t.Errorf("%+v, %v", m, err)
			}
		}
		wantActs(t, w.alfa, "DRAFTED eve", "RELEASED rob")
	})
	bubble(t, "when_the_release_of_an_officer_fell_away_with_the_officer", func(t *testing.T, w *world) {
		w.alfa.apply(&config.Release{Quorum: 2}, shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		if _, err := w.alfa.release(t, "desk/rob", firstID); err != nil {
			t.Fatal(err)
		}
		w.alfa.apply(&config.Release{Quorum: 2}, shift[2:]...)
		if m, err := w.alfa.release(t, "desk/ann", firstID); err != nil || m.State != desk.StateDraft || len(m.Draft.Releases) != 1 {
			t.Errorf("%+v, %v", m, err)
		}
	})
	bubble(t, "drafting_to_whoever_is_no_drafter", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		r := request("", "s")
		r.Hotline = "to-bravo"
		for path, why := range map[string]string{"desk": "certificate of a single officer", "desk/rob": "takes the role Draft", "desk/mallory": "there is no officer"} {
			if path != "desk" {
				r.Officer = ""
			}
			_, _, err := w.alfa.engine().Send(as(t, path), r)
			wantForbidden(t, err, why)
			r.Officer = "Officer One"
		}
		w.alfa.config.Desk.SharedCertificate = config.Denied
		w.alfa.apply(nil, shift...)
		_, _, err := w.alfa.engine().Send(as(t, "desk"), r)
		wantForbidden(t, err, "may not be used")
	})
	bubble(t, "a_name_that_contradicts_the_certificate", func(t *testing.T, w *world) {
		w.alfa.apply(nil, shift...)
		r := request("", "s")
		r.Hotline = "to-bravo"
		_, _, err := w.alfa.engine().Send(as(t, "desk/eve"), r)
		if _, ok := errors.AsType[*desk.InvalidError](err); !ok || !strings.Contains(err.Error(), `"Officer One"`) {
			t.Errorf("error is %v", err)
		}
	})
	bubble(t, "when_the_rule_came_while_the_message_was_on_its_way_to_the_journal", func(t *testing.T, w *world) {
		r := request(firstID, "s")
		r.Hotline = "to-bravo"
		l, p, err := w.alfa.engine().compose(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		w.alfa.apply(twoPersons(), shift...)
		_, err = w.alfa.engine().enqueue(t.Context(), l, p)
		wantForbidden(t, err, "send it as a draft")
		for _, mod := range []func(*Payload){
			func(p *Payload) {
				p.Kind, p.RSIT = message.LineCheckKind, message.TestCode
				p.LineCheck = &message.LineCheck{Path: "a", Slot: p.CreatedAt}
			},
			func(p *Payload) { p.Exercise, p.RSIT = "drill", message.TestCode },
		} {
			q := *p
			q.ID = firstID[:25] + string("BC"[len(w.alfa.list(store.Out))])
			mod(&q)
			if _, err := w.alfa.engine().enqueue(t.Context(), l, &q); err != nil {
				t.Errorf("%s %q: %v", q.Kind, q.Exercise, err)
			}
		}
	})
}
