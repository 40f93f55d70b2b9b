// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"sync"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// sightings remember when waiting messages were seen first, by the monotonic clock: when
// the wall clock is set back by a day, what was stored lies in the future, and no
// deadline must wait for that day to pass once more. The zero value is ready.
type sightings struct {
	mu    sync.Mutex // guards what follows
	first map[sighted]time.Time
}

type sighted struct {
	direction store.Direction
	id        string
}

// since takes down what waits now, forgets the rest, and returns from when on a message
// waits: as it was stored, or as it was seen if that lies in the future.
func (s *sightings) since(now time.Time, w *waits) func(store.Message) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.first
	s.first = make(map[sighted]time.Time, len(before))
	note := func(m store.Message) {
		k := sighted{m.Direction, m.ID}
		if s.first[k] = now; !before[k].IsZero() {
			s.first[k] = before[k]
		}
	}
	for _, list := range [][]store.Message{w.noReceipt, w.noAck, w.unread} {
		for _, m := range list {
			note(m)
		}
	}
	for _, a := range w.unanswered {
		note(a.Message)
	}
	first := s.first
	return func(m store.Message) time.Time {
		if !m.StoredAt.After(now) {
			return m.StoredAt
		}
		// Sub uses the monotonic clock where both times have it.
		return now.Round(0).Add(-now.Sub(first[sighted{m.Direction, m.ID}]))
	}
}
