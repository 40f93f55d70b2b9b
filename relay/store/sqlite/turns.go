// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"sync"
)

// lane is what a write is for.
type lane int

// The lanes, the first goes first.
const (
	hotline lane = iota
	feed
	lanes
)

// turns gives the one writer to one call at a time: within a lane in the order
// of arrival, and never to a feed while a hotline write waits.
type turns struct {
	mu      sync.Mutex
	taken   bool
	waiting [lanes][]chan struct{}
}

func newTurns() *turns { return &turns{} }

// take waits for a turn, or for the end of ctx. leave must be called once.
func (t *turns) take(ctx context.Context, l lane) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return t.leave, nil
	}
	turn := make(chan struct{})
	t.waiting[l] = append(t.waiting[l], turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return t.leave, nil
	case <-ctx.Done():
		t.giveUp(l, turn)
		return nil, ctx.Err()
	}
}

// leave passes the turn on.
func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.waiting {
		if w := t.waiting[l]; len(w) > 0 {
			t.waiting[l] = w[1:]
			close(w[0])
			return
		}
	}
	t.taken = false
}

// giveUp leaves the queue. If the turn came at the same moment it is passed on.
func (t *turns) giveUp(l lane, turn chan struct{}) {
	t.mu.Lock()
	for i, w := range t.waiting[l] {
		if w == turn {
			t.waiting[l] = append(t.waiting[l][:i], t.waiting[l][i+1:]...)
			t.mu.Unlock()
			return
		}
	}
	t.mu.Unlock()
	t.leave()
}
