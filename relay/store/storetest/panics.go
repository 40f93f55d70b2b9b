// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// manyPanics are more than a store has connections, for any use of them.
const manyPanics = 40

// outlivesPanics: a server catches what panics in a handler, and goes on with the same store.
func outlivesPanics(t *testing.T, e env) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	caught := func(call func() error) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Error("nobody learns of the panic")
			}
		}()
		if err := call(); err != nil {
			t.Fatalf("after a panic: %v", err)
		}
	}
	for i := range manyPanics {
		caught(func() error {
			return e.ChangeLine(ctx, "bravo.example", func(l store.LineTx) error {
				if _, err := l.Enqueue(func(serial int64) (store.Message, error) { return numbered(message("lost"), serial) }); err != nil {
					return err
				}
				if i%2 == 1 {
					if err := l.Reserve(7); err != nil {
						return err
					}
				}
				panic("on purpose")
			})
		})
		caught(func() error {
			return e.ReadLine(ctx, "bravo.example", func(store.LineReader) error { panic("on purpose") })
		})
	}
	if m := mustEnqueue(t, e, message("a")); m.Serial != 1 {
		t.Errorf("the first message has the serial %d: what panicked was stored", m.Serial)
	}
}
