// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func notesPlaces(t *testing.T, e env) {
	mustEnqueue(t, e, message("a"))
	mustEnqueue(t, e, message("b"))
	mustAccept(t, e, received("a", 1))
	mustChange(t, e, func(l store.LineTx) error {
		if err := l.Place(store.Out, "a", 7); err != nil {
			return err
		}
		return l.Place(store.In, "a", 8)
	})
	same(t, "place of ours", mustGet(t, e, store.Out, "a").Entry, int64(7))
	same(t, "place of the receipt of theirs", mustGet(t, e, store.In, "a").Entry, int64(8))
	same(t, "place of another", mustGet(t, e, store.Out, "b").Entry, int64(0))
}

func prunesPeerCheckpoints(t *testing.T, e env) {
	const newest = 64 // and the newest of the day before those
	for size := 1; size <= newest+10; size++ {
		mustChange(t, e, func(l store.LineTx) error { return l.KeepPeerCheckpoint(batch(0, size).Checkpoint) })
	}
	mustRead(t, e, func(l store.LineReader) error {
		list, err := l.PeerCheckpoints(0, store.MaxMessages)
		if err != nil {
			return err
		}
		if len(list) > newest+2 || len(list) < newest+1 { // two days, if it is midnight
			t.Errorf("%d checkpoints are kept", len(list))
		}
		same(t, "the largest", list[len(list)-1].Size, int64(newest+10))
		return nil
	})
}
