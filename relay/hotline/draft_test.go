// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// wantForbidden wants a *desk.ForbiddenError that says why.
func wantForbidden(t *testing.T, err error, why string) {
	t.Helper()
	if _, ok := errors.AsType[*desk.ForbiddenError](err); !ok || !strings.Contains(err.Error(), why) {
		t.Errorf("error is %v, want a refusal with %q", err, why)
	}
}

func wantConflict(t *testing.T, err error, why string) {
	t.Helper()
	if !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), why) {
		t.Errorf("error is %v, want a conflict with %q", err, why)
	}
}

func TestDraft(t *testing.T) {
	bubble(t, "a_changed_one_needs_all_releases_anew", func(t *testing.T, w *world) {
		w.alfa.apply(&config.Release{Quorum: 2}, shift...)
		before := w.alfa.drafted(t, request(firstID, "s"))
		if _, err := w.alfa.release(t, "desk/rob", firstID); err != nil {
			t.Fatal(err)
		}
		r := request("", "other")
		r.Officer, r.Precedence = "", "FLASH"
		after, err := w.alfa.engine().EditDraft(as(t, "desk/eve"), "bravo", firstID, r)
		if err != nil || after.Draft.Hash == before.Draft.Hash || len(after.Draft.Releases) != 0 || after.Subject != "other" || after.ID != firstID {
			t.Fatalf("%+v, %+v, %v", after, after.Draft, err)
		}
		_, err = w.alfa.engine().ReleaseDraft(as(t, "desk/ann"), "bravo", firstID, desk.DraftAct{Hash: before.Draft.Hash})
		wantConflict(t, err, "the draft was changed")
		_, err = w.alfa.engine().EditDraft(as(t, "desk/ann"), "bravo", firstID, r)
		if err == nil {
			t.Error("another officer could edit it")
		}
		if same, err := w.alfa.engine().EditDraft(as(t, "desk/eve"), "bravo", firstID, r); err != nil || same.Draft.Hash != after.Draft.Hash {
			t.Errorf("repeated: %+v, %v", same, err)
		}
		wantActs(t, w.alfa, "DRAFTED eve", "RELEASED rob", "EDITED eve")
	})
	bubble(t, "keeps_its_id_and_hotline", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		for _, r := range []desk.SendRequest{{ID: firstID[:25] + "B"}, {Hotline: "other"}} {
			_, err := w.alfa.engine().EditDraft(as(t, "desk/eve"), "bravo", firstID, r)
			if _, ok := errors.AsType[*desk.InvalidError](err); !ok {
				t.Errorf("error is %v", err)
			}
		}
	})
	bubble(t, "sending_it_again_is_the_same_draft_and_later_the_same_message", func(t *testing.T, w *world) {
		w.faults(cut)
		w.alfa.apply(twoPersons(), shift...)
		r := request(firstID, "s")
		r.Hotline, r.Officer = "to-bravo", ""
		first := w.alfa.drafted(t, r)
		again, created, err := w.alfa.engine().Send(as(t, "desk/eve"), r)
		if err != nil || created || again.Draft.Hash != first.Draft.Hash {
			t.Errorf("%+v, %v, %v", again, created, err)
		}
		_, _, err = w.alfa.engine().Send(as(t, "desk/ann"), r)
		wantConflict(t, err, "that of another draft")
		if _, err := w.alfa.release(t, "desk/rob", firstID); err != nil {
			t.Fatal(err)
		}
		if m, created, err := w.alfa.engine().Send(as(t, "desk/eve"), r); err != nil || created || m.State != "Queued" || m.Serial != 1 {
			t.Errorf("%+v, %v, %v", m, created, err)
		}
		if m, err := w.alfa.release(t, "desk/rob", firstID); err != nil || m.State != "Queued" {
			t.Errorf("the release again: %+v, %v", m, err)
		}
		_, err = w.alfa.release(t, "desk/ann", firstID)
		wantConflict(t, err, "does not wait any more: it is Sent")
		wantActs(t, w.alfa, "DRAFTED eve", "RELEASED rob", "SENT")
	})
	bubble(t, "an_id_is_a_draft_or_a_message_never_both", func(t *testing.T, w *world) {
		rules := twoPersons()
		rules.Rules = []config.ReleaseRule{{Precedences: []string{"FLASH"}}}
		w.alfa.apply(rules, shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		r := request(firstID, "s")
		r.Hotline, r.Officer, r.Precedence = "to-bravo", "", "FLASH"
		_, _, err := w.alfa.engine().Send(as(t, "desk/eve"), r)
		wantConflict(t, err, "that of a draft")
	})
}

func TestDraftEnds(t *testing.T) {
	bubble(t, "is_rejected_with_a_reason_by_who_may_release", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		reject := func(path, reason string) (desk.Message, error) {
			return w.alfa.engine().RejectDraft(as(t, path), "bravo", firstID, desk.DraftAct{Reason: reason})
		}
		for _, reason := range []string{"", " ", "two\nlines", strings.Repeat("x", desk.MaxReasonBytes+1)} {
			if _, err := reject("desk/rob", reason); err == nil {
				t.Errorf("a reason %.9q is accepted", reason)
			}
		}
		_, err := reject("desk/eve", "no")
		wantForbidden(t, err, "takes the role Release")
		for range 2 {
			if m, err := reject("desk/rob", "too early"); err != nil || m.Draft.State != desk.DraftRejected || m.Draft.Reason != "too early" {
				t.Errorf("%+v, %v", m, err)
			}
		}
		_, err = w.alfa.release(t, "desk/ann", firstID)
		wantConflict(t, err, "it is Rejected")
		all := wantActs(t, w.alfa, "DRAFTED eve", "REJECTED rob")
		if all[1].Details["reason"] != "too early" {
			t.Errorf("the act is %+v", all[1])
		}
	})
	bubble(t, "is_withdrawn_by_its_drafter_alone", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		_, err := w.alfa.engine().WithdrawDraft(as(t, "desk/ann"), "bravo", firstID, desk.DraftAct{})
		wantForbidden(t, err, "is for its drafter")
		for range 2 {
			if m, err := w.alfa.engine().WithdrawDraft(as(t, "desk/eve"), "bravo", firstID, desk.DraftAct{}); err != nil || m.Draft.State != desk.DraftWithdrawn {
				t.Errorf("%+v, %v", m, err)
			}
		}
		wantActs(t, w.alfa, "DRAFTED eve", "WITHDRAWN eve")
	})
	bubble(t, "expires_by_itself_across_a_restart", func(t *testing.T, w *world) {
		rules := twoPersons()
		rules.ExpirySeconds = 1800
		w.alfa.apply(rules, shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		w.alfa.kill()
		w.quiet()
		list, err := w.alfa.engine().ListDrafts(t.Context(), "to-bravo", store.DraftQuery{Limit: 9})
		if err != nil || len(list.Messages) != 1 || list.Messages[0].Draft.State != desk.DraftExpired || list.Messages[0].Draft.EndedBy != "" {
			t.Fatalf("%+v, %v", list, err)
		}
		_, err = w.alfa.release(t, "desk/rob", firstID)
		wantConflict(t, err, "it is Expired")
		wantActs(t, w.alfa, "DRAFTED eve", "EXPIRED")
	})
	bubble(t, "expires_when_large_ones_came_after_it", func(t *testing.T, w *world) {
		w.alfa.apply(&config.Release{Quorum: 1, ExpirySeconds: 60}, shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		for range 90 {
			r := request("", "s")
			r.Text = strings.Repeat("\u20ac", 25_000) // 90 of them are more than a page of the store
			w.alfa.drafted(t, r)
		}
		if n, _, err := w.alfa.engine().reportDrafts(t.Context(), w.alfa.engine().lineNamed("to-bravo")); err != nil || n != 91 {
			t.Errorf("%d drafts are reported to wait, %v", n, err)
		}
		<-time.After(2 * time.Minute)
		synctest.Wait()
		list, err := w.alfa.engine().ListDrafts(t.Context(), "", store.DraftQuery{Waiting: true, Limit: 100})
		if err != nil || len(list.Messages) != 0 {
			t.Errorf("%d drafts wait for ever, %v", len(list.Messages), err)
		}
	})
	bubble(t, "cannot_be_released_at_the_moment_at_which_it_expires", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		m := w.alfa.drafted(t, request(firstID, "s"))
		w.alfa.ahead.Store(int64(time.Until(m.Draft.ExpiresAt)))
		_, err := w.alfa.release(t, "desk/rob", firstID)
		wantConflict(t, err, "xpire")
		wantActs(t, w.alfa, "DRAFTED eve", "EXPIRED")
	})
}

func TestDraftIsBounded(t *testing.T) {
	bubble(t, "is_bounded_in_number_and_size", func(t *testing.T, w *world) {
		w.faults(cut)
		w.alfa.apply(twoPersons(), shift...)
		for range store.MaxDrafts {
			w.alfa.drafted(t, request("", "s"))
		}
		r := request("", "s")
		r.Hotline, r.Officer = "to-bravo", ""
		_, _, err := w.alfa.engine().Send(as(t, "desk/eve"), r)
		wantConflict(t, err, "wait for their release")
	})
	bubble(t, "waits_on_when_the_rules_are_gone_and_never_leaves_without_a_release", func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		w.alfa.apply(nil, shift...)
		w.alfa.revive()
		if m, err := w.alfa.engine().GetDraft(t.Context(), "bravo", firstID); err != nil || m.Draft.State != desk.DraftWaiting || m.Draft.Quorum != 1 {
			t.Fatalf("%+v, %v", m, err)
		}
		if m, err := w.alfa.release(t, "desk/rob", firstID); err != nil || m.State != "Queued" {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// A crash at any step of the last release leaves the draft with its releases, or the
// queued message; and the officer repeats.
func TestACrashDuringTheLastRelease(t *testing.T) {
	for _, what := range []string{"Enqueue", "Append", "sign"} {
		for how, result := range map[string]outcome{"before": fails, "after": lies, "with_a_full_disk": full} {
			bubble(t, what+"_"+how, func(t *testing.T, w *world) {
				w.alfa.apply(&config.Release{Quorum: 2}, shift...)
				w.alfa.drafted(t, request(firstID, "s"))
				if _, err := w.alfa.release(t, "desk/zoe", firstID); err != nil {
					t.Fatal(err)
				}
				w.faults(func(s step) outcome {
					if s.nation == "alfa" && s.what == what {
						return result
					}
					return works
				})
				_, err := w.alfa.release(t, "desk/rob", firstID)
				w.faults(cut)
				if err == nil && what+how != "signafter" { // a signature that was made is no fault
					t.Error("the fault did not show")
				}
				w.alfa.kill()
				w.alfa.start()
				d, err := w.alfa.engine().GetDraft(t.Context(), "bravo", firstID)
				if err != nil {
					t.Fatal(err)
				}
				switch out := w.alfa.list(store.Out); {
				case len(out) == 1 && d.Draft.State == desk.DraftSent && len(out[0].ReleasedBy) == 2:
				case len(out) == 0 && d.Draft.State == desk.DraftWaiting && len(d.Draft.Releases) == 1:
				default:
					t.Errorf("%d messages beside a draft %+v", len(out), d.Draft)
				}
				w.faults(nil)
				if m, err := w.alfa.release(t, "desk/rob", firstID); err != nil || m.Draft.State != desk.DraftSent {
					t.Errorf("repeated: %+v, %v", m, err)
				}
				w.quiet()
				w.alfa.proven(w.bravo, 1)
				wantActs(t, w.alfa, "DRAFTED eve", "RELEASED zoe", "RELEASED rob", "SENT")
			})
		}
	}
}
