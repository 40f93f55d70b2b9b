// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// since remembers since when something has held. It is safe concurrently.
type since struct {
	mu    sync.Mutex
	start map[types.NamespacedName]time.Time
}

// holds notes whether something holds now, and returns for how long it has.
func (s *since) holds(key types.NamespacedName, now bool, at time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now {
		delete(s.start, key)
		return 0
	}
	if s.start == nil {
		s.start = map[types.NamespacedName]time.Time{}
	}
	begun, there := s.start[key]
	if !there {
		s.start[key] = at
		return 0
	}
	return at.Sub(begun)
}

func (s *since) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.start, key)
}
