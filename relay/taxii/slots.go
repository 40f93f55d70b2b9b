// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
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
	callers map[string]*callerSlots
}

// callerSlots are those of one caller.
type callerSlots struct {
	inUse int
	// last is when, by number of grant, the caller got one last.
	last    uint64
	waiting []chan struct{} // the longest waiting first; closed when granted
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
	c.waiting = append(c.waiting, turn)
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
	at := slices.Index(c.waiting, turn)
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

// grant gives free slots to those who wait: to the caller with the fewest, of these
// to the one whose last turn was longest ago.
func (s *slots) grant() {
	for s.inUse < MaxRequests {
		var next *callerSlots
		for _, c := range s.callers {
			if len(c.waiting) == 0 || c.inUse >= MaxRequestsPerCaller {
				continue
			}
			if next == nil || c.inUse < next.inUse || c.inUse == next.inUse && c.last < next.last {
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
		close(next.waiting[0])
		next.waiting = slices.Delete(next.waiting, 0, 1)
	}
}
