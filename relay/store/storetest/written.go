// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// toldWhenWritten: who is told that a change is written finds it, and nobody is told of one
// that was undone.
func toldWhenWritten(t *testing.T, e env) {
	pending, told := -1, 0
	put := func(tx store.LineTx) error {
		_, err := tx.Enqueue(func(int64) (store.Message, error) {
			return store.Message{ID: "m1", Conversation: "m1", Kind: "REPORT", Precedence: "ROUTINE", Payload: []byte("m1")}, nil
		})
		return err
	}
	err := e.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error {
		tx.Written(func() {
			list, err := e.Pending(t.Context(), "bravo", 10)
			if pending = len(list); err != nil {
				t.Error(err)
			}
		})
		tx.Written(func() { told++ })
		return put(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "messages found by who was told", pending, 1)
	same(t, "others that were told", told, 1)
	refused := errors.New("refused")
	err = e.ChangeLine(t.Context(), "charlie", func(tx store.LineTx) error {
		tx.Written(func() { told++ })
		return errors.Join(put(tx), refused)
	})
	if !errors.Is(err, refused) {
		t.Errorf("ChangeLine returned %v, want the error of its change", err)
	}
	same(t, "those told of what was undone", told, 1)
}
