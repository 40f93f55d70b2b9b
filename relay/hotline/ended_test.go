// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

func TestWhatEndedLongAgo(t *testing.T) {
	bubble(t, "is_let_go_of_after_400_days_and_the_journal_stays_whole", func(t *testing.T, w *world) {
		w.alfa.apply(&config.Release{Quorum: 1}, shift...)
		ended := w.alfa.drafted(t, request(firstID, "s"))
		if _, err := w.alfa.engine().WithdrawDraft(as(t, "desk/eve"), "bravo", firstID, desk.DraftAct{Hash: ended.Draft.Hash}); err != nil {
			t.Fatal(err)
		}
		const many = 3*forgottenAtOnce + 1
		now := time.Now().UTC().Truncate(time.Microsecond)
		err := w.alfa.life().store.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) error {
			for n := range many {
				notice := store.Notice{ID: ulidFor(n/30, n%30), Event: "Received", Message: firstID, Notifier: "pager", At: now, SentAt: now}
				if err := tx.PutNotice(notice); err != nil {
					return err
				}
			}
			return tx.PutNotice(store.Notice{ID: "queued", Event: "Received", Message: firstID, Notifier: "pager", At: now, NextAt: now})
		})
		if err != nil {
			t.Fatal(err)
		}
		names, _ := w.alfa.acts(t)

		w.alfa.ahead.Store(int64(398 * 24 * time.Hour))
		<-time.After(25 * time.Hour)
		if n := w.alfa.notices(t); n != many+1 {
			t.Errorf("%d notices are left after 399 days, want %d", n, many+1)
		}
		if _, err := w.alfa.engine().GetDraft(t.Context(), "bravo", firstID); err != nil {
			t.Errorf("the draft after 399 days: %v", err)
		}
		waiting := w.alfa.drafted(t, request(ulidFor(0, 1), "s"))

		w.alfa.ahead.Add(int64(2 * 24 * time.Hour))
		<-time.After(25 * time.Hour)
		if n := w.alfa.notices(t); n != 1 {
			t.Errorf("%d notices are left after 402 days, want the one that is queued", n)
		}
		if _, err := w.alfa.engine().GetDraft(t.Context(), "bravo", firstID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the draft after 402 days: %v", err)
		}
		if _, err := w.alfa.engine().GetDraft(t.Context(), "bravo", waiting.ID); err != nil {
			t.Errorf("a draft of this week: %v", err)
		}
		if left, _ := w.alfa.acts(t); len(left) < len(names) {
			t.Errorf("of %d acts in the journal %d are left", len(names), len(left))
		}
		if c := w.alfa.verify(); c.State != desk.JournalWhole && c.State != desk.JournalUnproven || c.Damage != nil {
			t.Errorf("the journal is %+v", c)
		}
	})
}

// notices counts those of the line to bravo.
func (n *nation) notices(t *testing.T) (count int) {
	t.Helper()
	q := store.NoticeQuery{Peer: "bravo.example", Limit: store.MaxMessages}
	for {
		page, err := n.life().store.ListNotices(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		count += len(page.Notices)
		if q.Before = page.Next; q.Before == 0 {
			return count
		}
	}
}
