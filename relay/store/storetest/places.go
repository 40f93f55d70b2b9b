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

// showsItsQueue reads, in one change, what that change has put into the queue and taken out.
func showsItsQueue(t *testing.T, e env) {
	queued := func(what string, list []store.Placed, err error, want ...bool) error {
		var got []bool
		for _, p := range list {
			got = append(got, p.Queued)
		}
		same(t, what, got, want)
		return err
	}
	mustChange(t, e, func(l store.LineTx) error {
		for _, id := range []string{"a", "b", "c"} {
			if _, err := l.Enqueue(func(int64) (store.Message, error) { return message(id), nil }); err != nil {
				return err
			}
			whole, err := l.Whole(store.Out)
			if same(t, "below "+id+" nothing lacks a receipt", whole, int64(0)); err != nil {
				return err
			}
		}
		if err := l.PutReceipts(store.Receipt{ID: "a", Body: []byte("receipt"), At: epoch}); err != nil {
			return err
		}
		whole, err := l.Whole(store.Out)
		same(t, "below what has no receipt", whole, int64(1))
		return err
	})
	for name, read := range map[string]func(l store.LineReader) ([]store.Placed, error){
		"after":  func(l store.LineReader) ([]store.Placed, error) { return l.PlacedAfter(1, 10) },
		"before": func(l store.LineReader) ([]store.Placed, error) { return l.PlacedBefore(10, 3) },
	} {
		mustChange(t, e, func(l store.LineTx) error {
			if _, err := l.Enqueue(func(int64) (store.Message, error) { return message(name), nil }); err != nil {
				return err
			}
			list, err := read(l)
			return queued(name, list[len(list)-min(3, len(list)):], err, true, true, true)
		})
	}
}

// hurriesAfterARestore sends something urgent of a conversation in one change with what is less urgent in it,
// and with what is rare between the two.
func hurriesAfterARestore(t *testing.T, e env) {
	for name, rare := range map[string]func(l store.LineTx) error{
		"reserve": func(l store.LineTx) error { return l.Reserve(1) },
		"restore": func(l store.LineTx) error { return l.Restore(givenBack("given", 1_000)) },
	} {
		first, second := message(name+"-1", talk(name)), message(name+"-2", talk(name), precedence("FLASH"))
		mustChange(t, e, func(l store.LineTx) error {
			_, err := l.Enqueue(func(int64) (store.Message, error) { return first, nil })
			if err == nil {
				err = rare(l)
			}
			if err != nil {
				return err
			}
			_, err = l.Enqueue(func(int64) (store.Message, error) { return second, nil })
			return err
		})
		same(t, "pending after "+name, pendingIDs(t, e, 10), []string{first.ID, second.ID})
		mustReceipt(t, e, first.ID)
		mustReceipt(t, e, second.ID)
	}
}
