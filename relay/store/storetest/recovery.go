// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func keepsRecovery(t *testing.T, e env) {
	kept := func(s store.Store, want store.Recovery, open bool) {
		t.Helper()
		mustRead(t, s, func(l store.LineReader) error {
			got, is, err := l.Recovery()
			same(t, "recovery", got, want)
			same(t, "open", is, open)
			return err
		})
	}
	first := store.Recovery{Since: epoch, Ours: 7}
	next := store.Recovery{Since: epoch.Add(time.Hour), Ours: 107, Messages: 100, Receipts: 3}
	kept(e, store.Recovery{}, false)
	mustChange(t, e, func(l store.LineTx) error { return l.EndRecovery() })
	mustChange(t, e, func(l store.LineTx) error { return l.KeepRecovery(first) })
	kept(e.reopen(t, Options{}), first, true)
	mustChange(t, e, func(l store.LineTx) error { return l.KeepRecovery(next) })
	kept(e, next, true)
	wantErr(t, e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error {
		return errors.Join(l.EndRecovery(), store.ErrConflict)
	}), store.ErrConflict)
	kept(e, next, true)
	mustChange(t, e, func(l store.LineTx) error { return l.EndRecovery() })
	kept(e.reopen(t, Options{}), store.Recovery{}, false)
	if err := e.ChangeLine(t.Context(), "charlie.example", func(l store.LineTx) error { return l.KeepRecovery(first) }); err != nil {
		t.Fatal(err)
	}
	kept(e, store.Recovery{}, false)
}

func showsPlaces(t *testing.T, e env) {
	for _, id := range []string{"a", "b", "c", "d"} {
		m := message(id)
		m.Conversation, m.Precedence = "talk "+id, map[string]string{"b": "FLASH", "d": "FLASH"}[id]
		mustEnqueue(t, e, m)
	}
	mustAccept(t, e, received("in", 2))
	mustChange(t, e, func(l store.LineTx) error {
		if _, err := l.Move("d", 9, numbered); err != nil {
			return err
		}
		return l.PutReceipts(store.Receipt{ID: "b", Body: []byte("receipt"), At: epoch})
	})
	for _, read := range []struct {
		serial int64
		limit  int
		before bool
		want   string
	}{
		{0, 10, false, "a1+ b2- c3+ d9+"},
		{1, 2, false, "b2- c3+"},
		{9, 10, false, ""},
		{1 << 40, 10, true, "d9+ c3+ b2- a1+"},
		{9, 2, true, "c3+ b2-"},
		{1, 10, true, ""},
	} {
		mustRead(t, e, func(l store.LineReader) error {
			list, err := l.PlacedAfter(read.serial, read.limit)
			if read.before {
				list, err = l.PlacedBefore(read.serial, read.limit)
			}
			var got []string
			for _, p := range list {
				same(t, "conversation", p.Conversation, "talk "+p.ID)
				got = append(got, fmt.Sprintf("%s%d%s", p.ID, p.Serial, map[bool]string{true: "+", false: "-"}[p.Queued]))
			}
			same(t, fmt.Sprintf("from %d, before: %t", read.serial, read.before), strings.Join(got, " "), read.want)
			return err
		})
	}
	for _, limit := range []int{0, store.MaxMessages + 1} {
		mustRead(t, e, func(l store.LineReader) error {
			if _, err := l.PlacedAfter(0, limit); err == nil {
				t.Errorf("at most %d: no error", limit)
			}
			return nil
		})
	}
}
