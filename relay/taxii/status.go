// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
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
	// maxDetailsEach is the number of stored, of refused and of pending objects that
	// one status names; it counts all. maxDetails is that of all statuses together:
	// beyond it the oldest keep their counts only.
	maxDetailsEach = 1000
	maxDetails     = 40_000
)

// statuses remembers what became of POSTs, in memory. The answer to a POST holds
// the status, so that a restart loses the second reading, and the end of what was
// pending: 404 for its status tells the client to send again, which is safe.
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
	bare  bool // without details, to save room
}

func (s *Status) details() int { return len(s.Successes) + len(s.Failures) + len(s.Pendings) }

func (s *Status) strip() { s.Successes, s.Failures, s.Pendings = nil, nil, nil }

func newStatuses() *statuses { return &statuses{byID: map[string]*ownedStatus{}} }

func (s *statuses) put(owner string, status Status, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &ownedStatus{Status: status, owner: owner, at: at}
	s.byID[status.ID] = o
	s.order = append(s.order, o)
	s.details += status.details()
	for len(s.order) > maxStatuses || at.Sub(s.order[0].at) > statusAge {
		s.details -= s.order[0].details()
		delete(s.byID, s.order[0].ID)
		s.order[0] = nil
		s.order = s.order[1:]
		s.bare = max(0, s.bare-1)
	}
	s.shed()
}

// shed drops details of the oldest until those that are left fit.
func (s *statuses) shed() {
	for ; s.details > maxDetails; s.bare++ {
		o := s.order[s.bare]
		s.details -= o.details()
		o.strip()
		o.bare = true
	}
}

// replace puts the end in the place of what was pending, if it is still remembered.
func (s *statuses) replace(status Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.byID[status.ID]
	if !ok {
		return
	}
	if o.bare {
		status.strip()
	}
	s.details += status.details() - o.details()
	o.Status = status
	s.shed()
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
