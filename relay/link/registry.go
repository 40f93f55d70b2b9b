// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// recheckEvery is how often open connections are verified again when nothing has
// changed but the time.
const recheckEvery = 10 * time.Second

// registry knows the open connections, so that they can be looked at again when
// trust changes.
type registry[T comparable] struct {
	mu   sync.Mutex
	open map[T]struct{}
}

func newRegistry[T comparable]() *registry[T] { return &registry[T]{open: map[T]struct{}{}} }

func (r *registry[T]) add(s T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[s] = struct{}{}
}

func (r *registry[T]) remove(s T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, s)
}

// all returns those that are open now.
func (r *registry[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.open))
}
