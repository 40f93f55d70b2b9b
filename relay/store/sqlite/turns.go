// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"sync"
	"time"
)

// lane is what a write is for.
type lane int

// The lanes, the first goes first.
const (
	hotline lane = iota
	feed
	lanes
)

const (
	// patience is how long a feed lets hotlines go before it.
	patience = 500 * time.Millisecond
	// apart is how long after a turn of a feed the next one waits for hotlines at least. It does so for as long as
	// that turn took if that is longer: hotlines have half of the time, whatever feeds do.
	apart = 25 * time.Millisecond
)

// turns gives the one writer to one call at a time: within a lane in the order of arrival, and to a feed while a
// hotline write waits only if the feed has waited for patience, and no feed had a turn for apart, or for as long as
// that took. So a feed has its turn after half a second, the turn that is under way, and the larger of 25 ms and twice their
// time for each feed before it; and a hotline write waits for one turn of a feed in 25 ms at most.
type turns struct {
	mu      sync.Mutex
	taken   bool
	holder  lane
	waiting [lanes][]waiter
	// fed is when the last turn of a feed began, and again from when on a feed may go before hotlines.
	fed, again time.Time
}

// waiter waits for a turn.
type waiter struct {
	turn  chan struct{}
	since time.Time
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
		t.begin(l)
		t.mu.Unlock()
		return t.leave, nil
	}
	turn := make(chan struct{})
	t.waiting[l] = append(t.waiting[l], waiter{turn, time.Now()})
	t.mu.Unlock()
	select {
	case <-turn:
		return t.leave, nil
	case <-ctx.Done():
		t.giveUp(l, turn)
		return nil, ctx.Err()
	}
}

// begin notes whose turn it is. The caller holds t.mu.
func (t *turns) begin(l lane) {
	t.holder = l
	if l == feed {
		t.fed = time.Now()
	}
}

// leave passes the turn on.
func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.holder == feed {
		now := time.Now()
		t.again = now.Add(max(apart, now.Sub(t.fed)))
	}
	l := hotline
	if w := t.waiting[feed]; len(w) > 0 && (len(t.waiting[hotline]) == 0 || overdue(time.Now(), w[0].since, t.again)) {
		l = feed
	}
	w := t.waiting[l]
	if len(w) == 0 {
		t.taken = false
		return
	}
	t.waiting[l] = w[1:]
	t.begin(l)
	close(w[0].turn)
}

// overdue is pure: whether a feed that has waited since then goes before hotlines that wait.
func overdue(now, since, again time.Time) bool {
	return now.Sub(since) >= patience && !now.Before(again)
}

// giveUp leaves the queue. If the turn came at the same moment it is passed on.
func (t *turns) giveUp(l lane, turn chan struct{}) {
	t.mu.Lock()
	for i, w := range t.waiting[l] {
		if w.turn == turn {
			t.waiting[l] = append(t.waiting[l][:i], t.waiting[l][i+1:]...)
			t.mu.Unlock()
			return
		}
	}
	t.mu.Unlock()
	t.leave()
}
