// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// senders at once.
const senders = 64

// load sends messages from many senders, each the next one when the last is stored here,
// and returns messages a second: until all have verified receipts.
func (w *world) load(ctx context.Context, messages int) (float64, error) {
	var left atomic.Int64
	left.Store(int64(messages))
	errs := make(chan error, senders)
	begun := time.Now()
	var hands sync.WaitGroup
	for range senders {
		hands.Go(func() {
			for left.Add(-1) >= 0 {
				if _, _, err := w.alfa.engine.Send(ctx, request("ROUTINE")); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	hands.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return 0, err
	}
	err := w.alfa.await(ctx, func() (bool, error) {
		pending, err := w.alfa.store.Pending(ctx, bravoDomain, 1)
		return len(pending) == 0, err
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for the receipts: %w", err)
	}
	return float64(messages) / time.Since(begun).Seconds(), nil
}
