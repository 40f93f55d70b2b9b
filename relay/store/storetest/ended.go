// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var endedTests = map[string]func(t *testing.T, e env){
	"forgets_what_ended_long_ago_and_nothing_that_is_open": forgetsEnded,
	"forgets_the_oldest_first_and_so_many_at_once":         forgetsInParts,
	"forgets_nothing_of_another_line_or_without_a_limit":   forgetsOfOneLine,
}

func mustForget(t *testing.T, s store.Store, before time.Time, limit int) (gone int64) {
	t.Helper()
	gone, err := s.ForgetEnded(t.Context(), "bravo.example", before, limit)
	must(t, err)
	return gone
}

func told(at time.Time) func(*store.Notice) {
	return func(n *store.Notice) { n.NextAt, n.SentAt, n.At = time.Time{}, at, at }
}

func noticeIDs(t *testing.T, s store.Store) (ids []string) {
	t.Helper()
	page, err := s.ListNotices(t.Context(), store.NoticeQuery{Peer: "bravo.example", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range page.Notices {
		ids = append(ids, n.ID)
	}
	return ids
}

func draftIDs(t *testing.T, s store.Store) (ids []string) {
	t.Helper()
	for _, d := range mustListDrafts(t, s, store.DraftQuery{Limit: 100}).Drafts {
		ids = append(ids, d.ID)
	}
	return ids
}

func forgetsEnded(t *testing.T, e env) {
	old, young := epoch.Truncate(time.Microsecond), epoch.Add(48*time.Hour).Truncate(time.Microsecond)
	before := old.Add(24 * time.Hour)
	mustChange(t, e, func(l store.LineTx) error {
		for _, s := range []store.Escalation{step("open", "first", 1), step("over", "first", 1)} {
			if err := l.TakeStep(s); err != nil {
				return err
			}
		}
		for _, n := range []store.Notice{
			notice("queued", "m"), notice("told", "m", told(old)), notice("told-lately", "m", told(young)),
			notice("given-up", "m", told(old), func(n *store.Notice) { n.SentAt = time.Time{} }),
			notice("retold-lately", "m", told(old), func(n *store.Notice) { n.SentAt = young }),
			notice("told-and-open", "open", told(old)), notice("told-and-over", "over", told(old)),
		} {
			if err := l.PutNotice(n); err != nil {
				return err
			}
		}
		_, err := l.SettleSteps(store.Out, "over", "Receipt", "it is over")
		return err
	})
	ended, lately := draft(2), draft(3)
	ended.Waiting, lately.Waiting, lately.ExpiresAt = false, false, young
	mustPutDrafts(t, e, draft(1), ended, lately)

	same(t, "what went", mustForget(t, e, before, 100), int64(4))
	same(t, "notices", noticeIDs(t, e), []string{"told-and-open", "retold-lately", "told-lately", "queued"})
	same(t, "drafts", draftIDs(t, e), []string{"draft-3", "draft-1"})
	same(t, "open steps", len(openSteps(t, e)), 1)
	same(t, "what goes then", mustForget(t, e, before, 100), int64(0))

	// The step was settled by the store's own clock.
	later := time.Now().Add(48 * time.Hour)
	same(t, "what went two days later", mustForget(t, e, later, 100), int64(4))
	same(t, "notices then", noticeIDs(t, e), []string{"told-and-open", "queued"})
	same(t, "drafts then", draftIDs(t, e), []string{"draft-1"})
	same(t, "open steps then", len(openSteps(t, e)), 1)
	mustChange(t, e, func(l store.LineTx) error { return l.TakeStep(step("over", "first", 1)) }) // as after any settled one
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, "notices after a reopen", noticeIDs(t, e.reopen(t, Options{})), []string{"told-and-open", "queued"})
}

func forgetsInParts(t *testing.T, e env) {
	mustChange(t, e, func(l store.LineTx) error {
		for n := range 5 {
			at := epoch.Add(time.Duration(5-n) * time.Hour).Truncate(time.Microsecond)
			if err := l.PutNotice(notice(fmt.Sprint(n), "m", told(at))); err != nil {
				return err
			}
		}
		return nil
	})
	before := epoch.Add(24 * time.Hour)
	for _, want := range []struct {
		gone int64
		left []string
	}{{2, []string{"2", "1", "0"}}, {2, []string{"0"}}, {1, nil}, {0, nil}} {
		same(t, "what went", mustForget(t, e, before, 2), want.gone)
		same(t, "what is left", noticeIDs(t, e), want.left)
	}
}

func forgetsOfOneLine(t *testing.T, e env) {
	at := epoch.Truncate(time.Microsecond)
	mustChange(t, e, func(l store.LineTx) error { return l.PutNotice(notice("a", "m", told(at))) })
	gone, err := e.ForgetEnded(t.Context(), "charlie.example", epoch.Add(time.Hour), 10)
	same(t, "what went of another line", gone, int64(0))
	must(t, err)
	for _, limit := range []int{-1, 0, store.MaxForgotten + 1} {
		if _, err := e.ForgetEnded(t.Context(), "bravo.example", epoch.Add(time.Hour), limit); err == nil {
			t.Errorf("a limit of %d is accepted", limit)
		}
	}
	same(t, "notices", noticeIDs(t, e), []string{"a"})
}
