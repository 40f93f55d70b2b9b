// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"context"
	"encoding/json"
	"sync/atomic"

	"github.com/certlink/certlink/relay/store"
)

// Notes keep what is noted on leases; store.Leases has them.
type Notes interface {
	Note(ctx context.Context, l store.Lease, note []byte) error
	Notes(ctx context.Context, prefix string) (map[string][]byte, error)
}

// Board is how the replica that does some work tells the others what it sees of it: any of them may be
// asked for the report. T is what the report has of one piece of work, which JSON can hold. A Board may
// be used concurrently. On one without notes nobody tells anything.
type Board[T any] struct {
	notes  Notes
	prefix string
	poke   chan struct{}
	others atomic.Pointer[map[string]T]
}

// NewBoard makes the board of all work whose leases' names begin with prefix. Nil notes are none.
func NewBoard[T any](notes Notes, prefix string) *Board[T] {
	return &Board[T]{notes: notes, prefix: prefix, poke: make(chan struct{}, 1)}
}

// Told is what was told of a piece of work; the zero Told is nothing.
type Told struct {
	token int64 // of the lease
	note  []byte
}

// Tell leaves what is shown of the work under whose lease ctx is, unless that is what was told last, under
// the same lease: where another replica had it meanwhile, its note stands there. It returns what was
// told, for the next time. Without a lease nothing is told.
func (b *Board[T]) Tell(ctx context.Context, shown T, last Told) (Told, error) {
	l, leased := store.LeaseOf(ctx)
	if b.notes == nil || !leased {
		return last, nil
	}
	note, err := json.Marshal(shown)
	if err != nil || l.Token == last.token && bytes.Equal(note, last.note) {
		return last, err
	}
	if err := b.notes.Note(ctx, l, note); err != nil {
		return last, err
	}
	return Told{l.Token, note}, nil
}

// Noted has Read look again, as something was told. It does not block.
func (b *Board[T]) Noted() {
	select {
	case b.poke <- struct{}{}:
	default:
	}
}

// Read keeps what the other replicas tell, until ctx ends. After each look it calls changed, or failed,
// if the notes could not be read; what was read before stays then.
func (b *Board[T]) Read(ctx context.Context, changed func(), failed func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.poke:
		}
		if b.notes == nil {
			continue
		}
		notes, err := b.notes.Notes(ctx, b.prefix)
		if err != nil {
			failed(err)
			continue
		}
		others := make(map[string]T, len(notes))
		for name, note := range notes {
			var shown T
			if json.Unmarshal(note, &shown) == nil {
				others[name] = shown
			}
		}
		b.others.Store(&others)
		changed()
	}
}

// Of is what another replica tells of the work with the lease of that name; false if none does.
func (b *Board[T]) Of(name string) (shown T, ok bool) {
	if others := b.others.Load(); others != nil {
		shown, ok = (*others)[name]
	}
	return shown, ok
}
