// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// The steps that a batch of ours carries prove that its checkpoint continues those which
// the peer may hold: the one that it told of last, and those that left since.
type leaving struct {
	mu sync.Mutex
	// confirmed is the largest state of our journal that the peer was seen to hold.
	confirmed tlog.Tree
	// noted is the size of it that the store has, 0 for unknown.
	noted int64
	// sizes of checkpoints that left lately, ascending.
	sizes []int64
}

// confirm notes what the peer holds, once it was found to be of our history.
func (v *leaving) confirm(t tlog.Tree) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t.N > v.confirmed.N {
		v.confirmed = t
	}
}

// is tells whether this very state was confirmed last.
func (v *leaving) is(t tlog.Tree) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.confirmed == t
}

// within tells whether the peer holds at least what was confirmed. Else it has lost something, or tells of
// what it held before.
func (v *leaving) within(t tlog.Tree) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return t.N >= v.confirmed.N
}

// forget is for when the peer holds less than we thought.
func (v *leaving) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.confirmed, v.sizes, v.noted = tlog.Tree{}, nil, 0
}

// unnoted is how many entries the peer may hold more than what is stored says. Each batch of our journal has
// at least one, so what the peer holds is among the next few states, to which a courier's set leads as well: see mayHold.
const unnoted = wire.MaxSteps / 4

// note stores what was confirmed, for other replicas and after a restart; not each time, which would be a
// page and a statement of each transaction. A crash before the commit leaves what was stored before, which does for most
// couriers, and costs the line one round trip.
func (v *leaving) note(tx store.LineTx) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.confirmed.N <= v.noted || v.noted > 0 && v.confirmed.N < v.noted+unnoted {
		return nil
	}
	held := v.confirmed.N
	if err := tx.NotePeerHeld(held); err != nil {
		return fmt.Errorf("noting what the peer holds of our journal: %w", err)
	}
	tx.Written(func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.noted = max(v.noted, held)
	})
	return nil
}

// next notes that a checkpoint of this size leaves, and returns from where steps lead to it.
func (v *leaving) next(size int64, asked ...int64) []int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	var from []int64
	seen := map[int64]bool{0: true, size: true}
	add := func(n int64) {
		if !seen[n] && n < size && len(from) < wire.MaxSteps {
			seen[n] = true
			from = append(from, n)
		}
	}
	for _, n := range asked {
		add(n)
	}
	add(v.confirmed.N)
	for _, n := range v.sizes {
		if n > v.confirmed.N {
			add(n)
		}
	}
	// Another lane may have been faster with a newer one.
	if at, known := slices.BinarySearch(v.sizes, size); !known {
		v.sizes = slices.Insert(v.sizes, at, size)
		if len(v.sizes) > wire.MaxSteps/2 {
			v.sizes = v.sizes[1:]
		}
	}
	return from
}

// behind tells whether the peer holds a state of our journal that is not of our history:
// our database was set back.
func (l *line) behind(ctx context.Context, held *wire.Tree) (bool, error) {
	if held == nil || l.leaving.is(held.Tree()) {
		return false, nil
	}
	root, ok, err := l.rootAt(ctx, held.Size)
	if err != nil {
		return false, err
	}
	if !ok || root != held.Tree().Hash {
		left, err := l.isLeft(ctx, held.Tree())
		return !left, err
	}
	l.leaving.confirm(held.Tree())
	return false, nil
}
