// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// senders at once.
const senders = 64

// loaded is what a round of load came to.
type loaded struct {
	// perSecond are messages a second, until all have verified receipts.
	perSecond float64
	// processor is the processor time of each message in ms, of both sides and the senders.
	processor float64
}

// processor is the processor time of this process so far.
func processor() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("reading the processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// load sends messages from many senders, each the next one when the last is stored here.
func (w *world) load(ctx context.Context, messages int) (loaded, error) {
	used, err := processor()
	if err != nil {
		return loaded{}, err
	}
	begun := time.Now()
	if err := w.loadAll(ctx, messages); err != nil {
		return loaded{}, err
	}
	took := time.Since(begun)
	now, err := processor()
	return loaded{
		perSecond: float64(messages) / took.Seconds(),
		processor: float64((now - used).Nanoseconds()) / 1e6 / float64(messages),
	}, err
}

// loadAll returns when all messages have verified receipts.
func (w *world) loadAll(ctx context.Context, messages int) error {
	var left atomic.Int64
	left.Store(int64(messages))
	errs := make(chan error, senders)
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
		return err
	}
	err := w.alfa.await(ctx, func() (bool, error) {
		pending, err := w.alfa.store.Pending(ctx, bravoDomain, 1)
		return len(pending) == 0, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the receipts: %w", err)
	}
	return nil
}
