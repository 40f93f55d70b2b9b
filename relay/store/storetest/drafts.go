// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var draftTests = map[string]func(t *testing.T, e env){
	"keeps_a_draft_across_a_reopen":                keepsDraft,
	"lists_drafts_the_newest_first":                listsDrafts,
	"replaces_a_draft_in_its_place":                replacesDraft,
	"makes_a_draft_a_message_in_one_transaction":   releasesDraft,
	"has_drafts_of_the_same_id_for_different_peer": draftsOfPeers,
	"refuses_a_draft_out_of_bounds":                boundsDraft,
}

func draft(n int) store.Draft {
	return store.Draft{
		Peer: "bravo.example", ID: fmt.Sprintf("draft-%d", n), Waiting: true, Precedence: "FLASH",
		CreatedAt: epoch, ExpiresAt: epoch.Add(time.Hour), Body: fmt.Appendf(nil, "body %d", n),
	}
}

func mustPutDrafts(t *testing.T, s store.Store, drafts ...store.Draft) {
	t.Helper()
	mustChange(t, s, func(l store.LineTx) error {
		for _, d := range drafts {
			if err := l.PutDraft(d); err != nil {
				return err
			}
		}
		return nil
	})
}

func mustListDrafts(t *testing.T, s store.Store, q store.DraftQuery) store.DraftPage {
	t.Helper()
	page, err := s.ListDrafts(t.Context(), q)
	if err != nil {
		t.Fatalf("ListDrafts: %v", err)
	}
	return page
}

func keepsDraft(t *testing.T, e env) {
	mustPutDrafts(t, e, draft(1))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	mustRead(t, e.reopen(t, Options{}), func(l store.LineReader) error {
		got, err := l.Draft("draft-1")
		same(t, "the draft", got, draft(1))
		if n, err := l.WaitingDrafts(); n != 1 || err != nil {
			t.Errorf("%d wait, %v", n, err)
		}
		_, missing := l.Draft("draft-2")
		wantErr(t, missing, store.ErrNotFound)
		return err
	})
}

func listsDrafts(t *testing.T, e env) {
	ended := draft(2)
	ended.Waiting = false
	mustPutDrafts(t, e, draft(1), ended, draft(3))
	page := mustListDrafts(t, e, store.DraftQuery{Limit: 2})
	same(t, "the first page", page.Drafts, []store.Draft{draft(3), ended})
	same(t, "the second page", mustListDrafts(t, e, store.DraftQuery{Limit: 2, Before: page.Next}), store.DraftPage{Drafts: []store.Draft{draft(1)}})
	same(t, "those that wait", mustListDrafts(t, e, store.DraftQuery{Limit: 9, Peer: "bravo.example", Waiting: true}).Drafts, []store.Draft{draft(3), draft(1)})
	same(t, "those of another peer", len(mustListDrafts(t, e, store.DraftQuery{Limit: 9, Peer: "charlie.example"}).Drafts), 0)
	for _, limit := range []int{0, store.MaxDrafts + 1} {
		if _, err := e.ListDrafts(t.Context(), store.DraftQuery{Limit: limit}); err == nil {
			t.Errorf("a limit of %d is accepted", limit)
		}
	}
}

func replacesDraft(t *testing.T, e env) {
	mustPutDrafts(t, e, draft(1), draft(2))
	changed := draft(1)
	changed.Waiting, changed.Precedence, changed.ExpiresAt, changed.Body = false, "ROUTINE", epoch.Add(2*time.Hour), []byte("other")
	mustPutDrafts(t, e, changed)
	same(t, "drafts", mustListDrafts(t, e, store.DraftQuery{Limit: 9}).Drafts, []store.Draft{draft(2), changed})
}

func releasesDraft(t *testing.T, e env) {
	mustPutDrafts(t, e, draft(1))
	released := draft(1)
	released.Waiting = false
	release := func(l store.LineTx) error {
		_, err := l.Enqueue(func(serial int64) (store.Message, error) {
			m := message("draft-1")
			m.Serial = serial
			return m, nil
		})
		return errors.Join(err, l.PutDraft(released))
	}
	crash := errors.New("crash")
	err := e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return errors.Join(release(l), crash) })
	wantErr(t, err, crash)
	_, err = e.GetMessage(t.Context(), store.Out, "bravo.example", "draft-1")
	wantErr(t, err, store.ErrNotFound)
	same(t, "what waits", mustListDrafts(t, e, store.DraftQuery{Limit: 9, Waiting: true}).Drafts, []store.Draft{draft(1)})
	mustChange(t, e, release)
	same(t, "the serial", mustGet(t, e, store.Out, "draft-1").Serial, int64(1))
	same(t, "the draft", mustListDrafts(t, e, store.DraftQuery{Limit: 9}).Drafts, []store.Draft{released})
}

func draftsOfPeers(t *testing.T, e env) {
	mustPutDrafts(t, e, draft(1))
	other := draft(1)
	other.Body = []byte("for charlie")
	if err := e.ChangeLine(t.Context(), "charlie.example", func(l store.LineTx) error { return l.PutDraft(other) }); err != nil {
		t.Fatal(err)
	}
	other.Peer = "charlie.example"
	same(t, "drafts", mustListDrafts(t, e, store.DraftQuery{Limit: 9}).Drafts, []store.Draft{other, draft(1)})
}

func boundsDraft(t *testing.T, e env) {
	for _, bad := range []store.Draft{{ID: "x"}, {Body: []byte("x")}, {ID: "x", Body: make([]byte, store.MaxDraftBytes+1)}} {
		if err := e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.PutDraft(bad) }); err == nil {
			t.Errorf("a draft %q of %d bytes is accepted", bad.ID, len(bad.Body))
		}
	}
}
