// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

// TestALeaseDuringAChange: while a change under a lease is under way its holder renews
// the lease, and nobody else gets it, even when it has expired.
func TestALeaseDuringAChange(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
	one, two := openAt(t, uri), openAt(t, uri)
	const ttl = 400 * time.Millisecond // once the change is under way
	l, held, err := one.Acquire(t.Context(), "work", "one", time.Hour)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	taken := make(chan error, 1)
	err = one.change(store.Under(t.Context(), l), one.bulk, "working", func(ctx context.Context, tx pgx.Tx) error {
		soon, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if again, held, err := one.Acquire(soon, "work", "one", ttl); err != nil || !held || again != l {
			t.Errorf("renewing: %+v, %v, %v", again, held, err)
		}
		go func() {
			for {
				_, held, err := two.Acquire(t.Context(), "work", "two", time.Minute)
				if held || err != nil {
					taken <- err
					return
				}
			}
		}()
		select {
		case err := <-taken:
			t.Errorf("the lease went to another during a change under it: %v", err)
			taken <- err
		case <-time.After(3 * ttl):
		}
		_, err := tx.Exec(ctx, "SELECT 1")
		return err
	})
	if err != nil {
		t.Errorf("the change: %v", err)
	}
	if err := <-taken; err != nil {
		t.Errorf("taking it over: %v", err)
	}
	err = one.change(store.Under(t.Context(), l), one.bulk, "working", func(context.Context, pgx.Tx) error { return nil })
	if err == nil {
		t.Error("a change under the lease before was made")
	}
}
