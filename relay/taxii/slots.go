// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// slots bounds requests at once, in all and for each caller, and lets those beyond
// wait in fairness: a caller with many requests delays its own, not those of others.
type slots struct {
	mu      sync.Mutex
	inUse   int
	granted uint64 // counts the grants
	entered uint64 // counts the requests that came
	callers map[string]*callerSlots
}

// callerSlots are those of one caller.
type callerSlots struct {
	inUse int
	// last is when, by number of grant, the caller got one last.
	last    uint64
	waiting []waiter // the longest waiting first
}

// waiter is a request in the queue of its caller.
type waiter struct {
	turn   chan struct{} // closed when granted
	number uint64        // of all requests that came
}

func newSlots() *slots { return &slots{callers: map[string]*callerSlots{}} }

// take returns a function that gives the slot back, once. It waits for its turn, and
// refuses when that takes too long or too many of the same caller wait already.
func (s *slots) take(ctx context.Context, caller string) (release func(), err error) {
	release = func() { s.release(caller) }
	turn := s.enter(caller)
	if turn == nil {
		return nil, busy()
	}
	select {
	case <-turn:
		return release, nil
	default:
	}
	timer := time.NewTimer(MaxWait)
	defer timer.Stop()
	select {
	case <-turn:
		return release, nil
	case <-timer.C:
		err = busy()
	case <-ctx.Done():
		err = ctx.Err()
	}
	if s.leave(caller, turn) {
		return release, nil
	}
	return nil, err
}

func busy() *ProtocolError {
	e := problem(http.StatusServiceUnavailable, "Too many requests at once", "come again when those under way have ended")
	e.RetryAfter = time.Second
	return e
}

// enter puts a request into the queue of its caller. The result is closed when it is
// its turn, perhaps already; nil if the queue is full.
func (s *slots) enter(caller string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[caller]
	if c == nil {
		c = &callerSlots{}
		s.callers[caller] = c
	}
	if len(c.waiting) == MaxWaiting {
		return nil
	}
	turn := make(chan struct{})
	s.entered++
	c.waiting = append(c.waiting, waiter{turn, s.entered})
	s.grant()
	return turn
}

// leave takes a request that waits no longer out of its queue; true if it was
// granted in the meantime.
func (s *slots) leave(caller string, turn chan struct{}) (granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[caller]
	if c == nil {
		return true
	}
	at := slices.IndexFunc(c.waiting, func(w waiter) bool { return w.turn == turn })
	if at < 0 {
		return true
	}
	c.waiting = slices.Delete(c.waiting, at, at+1)
	s.forget(caller)
	return false
}

func (s *slots) release(caller string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse--
	s.callers[caller].inUse--
	s.forget(caller)
	s.grant()
}

// forget drops a caller that neither has nor wants anything.
func (s *slots) forget(caller string) {
	if c := s.callers[caller]; c.inUse == 0 && len(c.waiting) == 0 {
		delete(s.callers, caller)
	}
}

// before tells whether a slot goes to one waiting caller rather than to another: to the one with
// the fewest, of these to the one whose last turn was longest ago. Of those who had none, such as
// callers that come now and then, it goes to the one that waits the longest.
func (c *callerSlots) before(other *callerSlots) bool {
	return cmp.Or(
		cmp.Compare(c.inUse, other.inUse),
		cmp.Compare(c.last, other.last),
		cmp.Compare(c.waiting[0].number, other.waiting[0].number),
	) < 0
}

// grant gives free slots to those who wait, as before has it.
func (s *slots) grant() {
	for s.inUse < MaxRequests {
		var next *callerSlots
		for _, c := range s.callers {
			if len(c.waiting) == 0 || c.inUse >= MaxRequestsPerCaller {
				continue
			}
			if next == nil || c.before(next) {
				next = c
			}
		}
		if next == nil {
			return
		}
		s.inUse++
		s.granted++
		next.inUse++
		next.last = s.granted
		close(next.waiting[0].turn)
		next.waiting = slices.Delete(next.waiting, 0, 1)
	}
}
