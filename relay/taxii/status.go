// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"net/http"
	"sync"
	"time"
)

// Bounds of what is remembered of past POSTs.
const (
	// maxStatuses is the number of statuses. The oldest make room, if need be
	// before their day is over.
	maxStatuses = 10_000
	// statusAge is how long a status is kept.
	statusAge = 25 * time.Hour
	// maxFailures is the number of refused objects that one status names; it
	// counts all. maxDetails is that of all statuses together: beyond it the
	// oldest keep their counts only.
	maxFailures = 1000
	maxDetails  = 20_000
)

// statuses remembers what became of POSTs, in memory: every POST is complete
// before it is answered, and the answer holds the status, so that a restart
// loses nothing but the second reading.
type statuses struct {
	mu      sync.Mutex
	byID    map[string]*ownedStatus
	order   []*ownedStatus // the oldest first
	bare    int            // how many of order have no details left
	details int
}

type ownedStatus struct {
	Status
	owner string
	at    time.Time
}

func newStatuses() *statuses { return &statuses{byID: map[string]*ownedStatus{}} }

func (s *statuses) put(owner string, status Status, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &ownedStatus{Status: status, owner: owner, at: at}
	s.byID[status.ID] = o
	s.order = append(s.order, o)
	s.details += len(status.Failures)
	for len(s.order) > maxStatuses || at.Sub(s.order[0].at) > statusAge {
		s.details -= len(s.order[0].Failures)
		delete(s.byID, s.order[0].ID)
		s.order[0] = nil
		s.order = s.order[1:]
		s.bare = max(0, s.bare-1)
	}
	for ; s.details > maxDetails; s.bare++ {
		s.details -= len(s.order[s.bare].Failures)
		s.order[s.bare].Failures = nil
	}
}

// get returns a status to its owner.
func (s *statuses) get(owner, id string) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.byID[id]
	if !ok || o.owner != owner {
		return Status{}, false
	}
	return o.Status, true
}

// slots bounds requests at once, in all and for each caller.
type slots struct {
	mu     sync.Mutex
	all    int
	caller map[string]int
}

func newSlots() *slots { return &slots{caller: map[string]int{}} }

// take returns a function that gives the slot back, once.
func (s *slots) take(caller string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= MaxRequests || s.caller[caller] >= MaxRequestsPerCaller {
		busy := problem(http.StatusServiceUnavailable, "Too many requests at once", "come again when those under way have ended")
		busy.RetryAfter = time.Second
		return nil, busy
	}
	s.all++
	s.caller[caller]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.caller[caller]--; s.caller[caller] == 0 {
			delete(s.caller, caller)
		}
	}, nil
}
