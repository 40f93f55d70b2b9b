// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// TestAPanicLeavesTheStoreAsItWas: a server catches what panics in a handler, and goes on.
func TestAPanicLeavesTheStoreAsItWas(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	caught := func(call func()) {
		defer func() {
			if recover() == nil {
				t.Error("nobody learns of the panic")
			}
		}()
		call()
	}
	caught(func() {
		_ = s.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error {
			_, _ = tx.Enqueue(func(int64) (store.Message, error) { return store.Message{ID: "m1", Conversation: "m1"}, nil })
			panic("on purpose")
		})
	})
	for range readers {
		caught(func() { _ = s.ReadLine(t.Context(), "bravo", func(store.LineReader) error { panic("on purpose") }) })
	}
	if err := within(t, returned(func() error { return enqueue(t, s, "m2") }), "a change after one that panicked"); err != nil {
		t.Fatal(err)
	}
	pending, err := s.Pending(t.Context(), "bravo", 10)
	if err != nil || len(pending) != 1 || pending[0].ID != "m2" || pending[0].Serial != 1 {
		t.Errorf("%+v is queued, %v; want the second message alone", pending, err)
	}
}
