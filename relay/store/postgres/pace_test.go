// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

// TestFeedsGoSlowlyAfterMessagesAndReceiptsAlone: an import that is slowed down by whatever a line notes
// of itself costs a third more.
func TestFeedsGoSlowlyAfterMessagesAndReceiptsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(store.LineTx) error
		want   int
	}{
		"a change that writes nothing": {func(store.LineTx) error { return nil }, store.MaxRecords},
		"notices that are given up":    {func(tx store.LineTx) error { return tx.AbandonNotices(nil, "gone") }, store.MaxRecords},
		"a receipt that is there": {func(tx store.LineTx) error {
			return tx.PutReceipts(store.Receipt{ID: "done", Body: []byte("received")})
		}, store.MaxRecords},
		"a message of ours": {func(tx store.LineTx) error {
			_, err := tx.Enqueue(func(int64) (store.Message, error) { return store.Message{ID: "m", Conversation: "m"}, nil })
			return err
		}, paced},
		"a message of the peer": {func(tx store.LineTx) error {
			_, _, err := tx.Accept(store.Message{Direction: store.In, ID: "m", Conversation: "m", Serial: 1})
			return err
		}, paced},
		"a receipt": {func(tx store.LineTx) error {
			return tx.PutReceipts(store.Receipt{ID: "sent", Body: []byte("received")})
		}, paced},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			if err := s.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error {
				for _, id := range []string{"sent", "done"} {
					if _, err := tx.Enqueue(func(int64) (store.Message, error) { return store.Message{ID: id, Conversation: id}, nil }); err != nil {
						return err
					}
				}
				return tx.PutReceipts(store.Receipt{ID: "done", Body: []byte("received")})
			}); err != nil {
				t.Fatal(err)
			}
			s.exchanged.Store(nil)
			began := time.Now()
			if err := s.ChangeLine(t.Context(), "bravo", c.change); err != nil {
				t.Fatal(err)
			}
			if got := s.Pace(); got != c.want && time.Since(began) < pacedFor { // of a disk that stalls for longer nothing is said
				t.Errorf("Pace is %d after it, want %d", got, c.want)
			}
		})
	}
}

func TestFeedsOfAReplicaGoSlowlyWhileAnotherExchangesMessages(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
	one, two := openAt(t, uri), openAt(t, uri)
	put := func(want int) {
		t.Helper()
		began := time.Now()
		if _, err := one.PutObjects(t.Context(), "c", []store.Object{{ID: "x", Type: "x", Raw: []byte("x")}}, ""); err != nil {
			t.Fatal(err)
		}
		if got := one.Pace(); got != want && time.Since(began) < pacedFor {
			t.Errorf("Pace is %d after it, want %d", got, want)
		}
		one.exchanged.Store(nil)
	}
	send := func() {
		t.Helper()
		if _, err := two.Enqueue(t.Context(), "bravo", benchMessage); err != nil {
			t.Fatal(err)
		}
	}
	send()
	put(store.MaxRecords) // how old what is there may be, nobody knows
	put(store.MaxRecords)
	send()
	put(paced)
	put(store.MaxRecords)
}
