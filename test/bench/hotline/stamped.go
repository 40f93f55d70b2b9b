// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// mostStamps of one message are kept: each path that it takes, or an answer to it, may be stored again.
const mostStamps = 8

// stamped is a store that can tell when a message, or the receipt for it, was stored: a look at it takes a
// transaction of its own, beside the relays, on the processors that they share.
type stamped struct {
	*sqlite.Store
	watched atomic.Pointer[watch]
}

// watch is for the changes that are about one message.
type watch struct {
	id string
	// at has when they were on stable storage.
	at chan time.Time
}

// watch begins to watch a message, in place of another.
func (s *stamped) watch(id string) *watch {
	w := &watch{id: id, at: make(chan time.Time, mostStamps)}
	s.watched.Store(w)
	return w
}

// ChangeLine implements store.Lines. A change that accepts the watched message, or puts its receipt, is on stable storage
// when this returns nil, and so is the time noted.
func (s *stamped) ChangeLine(ctx context.Context, peer string, change func(store.LineTx) error) error {
	w := s.watched.Load()
	if w == nil {
		return s.Store.ChangeLine(ctx, peer, change)
	}
	n := &noting{id: w.id}
	err := s.Store.ChangeLine(ctx, peer, func(tx store.LineTx) error {
		n.LineTx = tx
		return change(n)
	})
	if at := time.Now(); err == nil && n.noted {
		select {
		case w.at <- at:
		default:
		}
	}
	return err
}

// noting is a transaction that notes whether it is about a message.
type noting struct {
	store.LineTx
	id    string
	noted bool
}

// Accept implements store.LineTx.
func (n *noting) Accept(m store.Message) (store.Message, bool, error) {
	n.noted = n.noted || m.ID == n.id
	return n.LineTx.Accept(m)
}

// PutReceipts implements store.LineTx.
func (n *noting) PutReceipts(receipts ...store.Receipt) error {
	n.noted = n.noted || slices.ContainsFunc(receipts, func(r store.Receipt) bool { return r.ID == n.id })
	return n.LineTx.PutReceipts(receipts...)
}

// stored waits until what is watched is stored, and returns when that was: when the change returned after which it is
// there. That it is, is read after the fact; a change after which it is not does not count.
func (s *stamped) stored(ctx context.Context, w *watch, d store.Direction, peer string) (time.Time, error) {
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		select {
		case at := <-w.at:
			if there, err := s.has(ctx, d, peer, w.id); there || err != nil {
				return at, err
			}
		case <-late.C:
			return time.Time{}, fmt.Errorf("message %s of %s is not stored within a minute", w.id, peer)
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// has tells whether a message is stored, and if it is ours, with its receipt.
func (s *stamped) has(ctx context.Context, d store.Direction, peer, id string) (bool, error) {
	m, err := s.GetMessage(ctx, d, peer, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && (d == store.In || len(m.Receipt) > 0), err
}
