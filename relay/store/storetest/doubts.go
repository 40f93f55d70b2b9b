// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// doubt is one of a kind, found so many hours after the beginning.
func doubt(kind string, hour int) store.Doubt {
	held, shown := batch(0, 7).Checkpoint, batch(0, 7).Checkpoint
	held.At, shown.Root = epoch, hash(77)
	return store.Doubt{Kind: kind, At: epoch.Add(time.Duration(hour) * time.Hour), Held: held, Shown: shown}
}

func doubtsOf(t *testing.T, s store.Store) (list []store.Doubt) {
	t.Helper()
	mustRead(t, s, func(l store.LineReader) (err error) {
		list, err = l.Doubts()
		return err
	})
	return list
}

func keepsDoubts(t *testing.T, e env) {
	keep := func(d store.Doubt, want bool) {
		t.Helper()
		mustChange(t, e, func(l store.LineTx) error {
			kept, err := l.KeepDoubt(d)
			same(t, "kept", kept, want)
			return err
		})
	}
	forked, older := doubt(store.DoubtForked, 1), doubt(store.DoubtOlder, 2)
	same(t, "at first", len(doubtsOf(t, e)), 0)
	keep(forked, true)
	keep(doubt(store.DoubtForked, 3), false)
	keep(older, true)
	again := e.reopen(t, Options{})
	same(t, "after a restart", doubtsOf(t, again), []store.Doubt{older, forked})
	mustChange(t, e, func(l store.LineTx) error {
		return l.SettleDoubt(store.DoubtForked, epoch.Add(4*time.Hour), "somebody")
	})
	wantErr(t, e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error {
		return l.SettleDoubt(store.DoubtForked, epoch.Add(5*time.Hour), "somebody")
	}), store.ErrNotFound)
	forked.SettledAt, forked.SettledBy = epoch.Add(4*time.Hour), "somebody"
	same(t, "when one is settled", doubtsOf(t, e), []store.Doubt{older, forked})
	keep(doubt(store.DoubtForked, 6), true)
	for hour := 7; hour < 7+2*store.MaxDoubts; hour++ {
		mustChange(t, e, func(l store.LineTx) error {
			return l.SettleDoubt(store.DoubtForked, epoch.Add(time.Duration(hour)*time.Hour), "")
		})
		keep(doubt(store.DoubtForked, hour), true)
	}
	list := doubtsOf(t, e)
	same(t, "of many", len(list), store.MaxDoubts+2)
	same(t, "the newest", list[0].At, epoch.Add((6+2*store.MaxDoubts)*time.Hour))
	same(t, "what is open stays", list[len(list)-1], older)
}
