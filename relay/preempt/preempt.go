// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package preempt lets what goes as FLASH go before all else within one relay.
//
// The store's turn and a lane of its own are not enough: on few processors a FLASH message meets
// a feed's objects and a queue of ROUTINE messages at each of its hand-overs, for a goroutine has no
// priority. So whoever does much work that can wait asks the Gate between two pieces of it.
// Nothing is held back for longer than is said here, however many FLASH messages there are and
// whatever becomes of them.
package preempt

import (
	"context"
	"sync"
	"time"
)

const (
	// Longest is how long a piece of other work waits for FLASH, at most.
	Longest = 50 * time.Millisecond
	// stale is how long one FLASH keeps others waiting: where it is not through by then, the peer is not
	// reached, and what stands still for it helps nobody.
	stale = time.Second
	// lately is how long after a FLASH began others still rest between their pieces, as the next one
	// may be on its way.
	lately = 2 * time.Second
	// longestRest is the longest of these rests.
	longestRest = 100 * time.Millisecond
)

// Gate knows which FLASH messages are under way in this relay: stored, sent, received or
// settled just now. A nil Gate knows of none. It is safe concurrently.
type Gate struct {
	mu   sync.Mutex // guards what follows
	n    int
	free chan struct{} // closed when n is 0 again
	last time.Time     // when the last of them began
}

// New returns a Gate.
func New() *Gate { return &Gate{} }

// Begin says that a FLASH message is being worked on; end that it no longer is. To call end more than once
// does no harm.
func (g *Gate) Begin() (end func()) {
	if g == nil {
		return func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n == 0 {
		g.free = make(chan struct{})
	}
	g.n++
	g.last = time.Now()
	return sync.OnceFunc(g.end)
}

func (g *Gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 {
		close(g.free)
	}
}

// GiveWay returns when no FLASH is being worked on, when the last of them began a second ago, after
// Longest, or at the end of ctx; at once if there is none.
func (g *Gate) GiveWay(ctx context.Context) {
	if g == nil {
		return
	}
	g.mu.Lock()
	n, free, left := g.n, g.free, stale-time.Since(g.last)
	g.mu.Unlock()
	if n == 0 || left <= 0 {
		return
	}
	wait(ctx, free, min(Longest, left))
}

// Lately tells whether a FLASH began within the last two seconds.
func (g *Gate) Lately() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.last.IsZero() && time.Since(g.last) < lately
}

// Rest is called after a piece of other work that took so long: while there was a FLASH lately it
// takes so many times as long, so that the processors are mostly free, and 100 ms at most.
func (g *Gate) Rest(ctx context.Context, worked time.Duration, times int) {
	if g.Lately() {
		wait(ctx, nil, min(longestRest, time.Duration(times)*worked))
	}
}

func wait(ctx context.Context, free <-chan struct{}, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-free:
	case <-timer.C:
	case <-ctx.Done():
	}
}
