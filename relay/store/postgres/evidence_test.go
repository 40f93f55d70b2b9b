// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// A hedged request brings the same receipts twice.
func TestReceiptsThatAreHereAlreadyLeaveNoEvidenceBehind(t *testing.T) {
	s := open(t)
	if _, err := s.Enqueue(t.Context(), "bravo", func(int64) (store.Message, error) {
		return store.Message{ID: "m", Conversation: "m", Payload: []byte("m")}, nil
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		of := &store.Evidence{Checkpoint: []byte("checkpoint"), Hashes: make([]byte, 32), Chain: []byte("chain")}
		if err := s.ChangeLine(t.Context(), "bravo", func(l store.LineTx) error {
			return l.PutReceipts(store.Receipt{ID: "m", Body: []byte("receipt"), Proof: store.Proof{Of: of, Path: []uint16{0}}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	var n int64
	if err := s.urgent.QueryRow(t.Context(), "SELECT count(*) FROM evidence").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows of evidence for one receipt, %v", n, err)
	}
}
