// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"path/filepath"
	"testing"
	"time"

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
			s := open(t, filepath.Join(t.TempDir(), "relay.db"))
			if _, err := s.Enqueue(t.Context(), "bravo", func(int64) (store.Message, error) {
				return store.Message{ID: "sent", Conversation: "sent"}, nil
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
