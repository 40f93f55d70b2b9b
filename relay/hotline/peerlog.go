// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// remembered is how many batches and answers of the peer are remembered, to compare what
// was overtaken on the way with what is held by now.
const remembered = 16

// peerLog is what we know in memory of the peer's journal; the store keeps its checkpoints.
type peerLog struct {
	mu     sync.Mutex
	held   tlog.Tree
	recent []*wire.Opened
}

// accepted notes a batch whose checkpoint was found to be of the history that we hold.
func (p *peerLog) accepted(o *wire.Opened) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.Log.Tree.N > p.held.N {
		p.held = o.Log.Tree
	}
	if len(o.Steps) == 0 {
		return
	}
	if len(p.recent) == remembered {
		p.recent = p.recent[1:]
	}
	p.recent = append(p.recent, o.Links())
}

// continues tells whether a newer checkpoint that was accepted is known to continue this one.
func (p *peerLog) continues(c journal.Checkpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.recent {
		if o.Log.Origin == c.Origin && o.Log.Tree.N >= c.Tree.N && holds(o.Continues(c.Tree)) {
			return true
		}
	}
	return false
}

// broken forgets all: the peer's journal goes on in another history.
func (p *peerLog) broken(now tlog.Tree) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held, p.recent = now, nil
}

// largest is what was held last; zero before anything was read.
func (p *peerLog) largest() tlog.Tree {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// follow compares the checkpoint of a batch with what we hold of the peer's journal, and
// keeps it when it continues that. It returns the state of package wire; anything but
// wire.Continues means that nothing was done.
func (l *line) follow(tx store.LineTx, o *wire.Opened) (string, error) {
	c, err := heldOf(tx)
	if err != nil {
		return "", err
	}
	held := treeOf(c)
	if o.Log.Tree.N < held.N {
		if l.peerLog.continues(o.Log) {
			return wire.Continues, nil
		}
		return wire.Behind, nil
	}
	switch err := o.Continues(held); {
	case errors.Is(err, wire.ErrUnlinked):
		return wire.Unlinked, nil
	case err != nil:
		return wire.Forked, nil //nolint:nilerr // it is what is to be told
	case o.Log.Tree.N == held.N:
		return wire.Continues, nil
	}
	err = tx.KeepPeerCheckpoint(checkpointOf(o))
	if err != nil {
		return "", fmt.Errorf("keeping the peer's checkpoint: %w", err)
	}
	return wire.Continues, nil
}

// heldOf is the largest checkpoint of the peer's journal that we hold, zero for none.
func heldOf(r store.LineReader) (store.Checkpoint, error) {
	c, err := r.PeerCheckpoint()
	if errors.Is(err, store.ErrNotFound) {
		return store.Checkpoint{}, nil
	}
	if err != nil {
		return store.Checkpoint{}, fmt.Errorf("reading the peer's checkpoint: %w", err)
	}
	return c, nil
}

func checkpointOf(o *wire.Opened) store.Checkpoint {
	return store.Checkpoint{Size: o.Log.Tree.N, Root: store.Hash(o.Log.Tree.Hash), Signed: o.Checkpoint, Chain: joined(o.Chain)}
}

// openPeer verifies that a batch is signed by the peer of this line, over its journal of it.
func (l *line) openPeer(identity Identity, b *wire.Batch) (*wire.Opened, error) {
	chain, err := l.known.open(identity, b.Chain, l.engine.cfg.Now())
	if err != nil {
		return nil, err
	}
	if chain.TrustDomain != l.trustDomain {
		return nil, fmt.Errorf("it is signed by %q, not by %q", chain.TrustDomain, l.trustDomain)
	}
	return b.Open(journal.Origin(l.trustDomain, identity.TrustDomain()), chain.Key)
}

// The steps that a batch of ours carries prove that its checkpoint continues those which
// the peer may hold: the one that it told of last, and those that left since.
type leaving struct {
	mu sync.Mutex
	// confirmed is the largest state of our journal that the peer was seen to hold.
	confirmed tlog.Tree
	// noted is the size of it that the store has.
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

// forget is for when the peer holds less than we thought.
func (v *leaving) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.confirmed, v.sizes, v.noted = tlog.Tree{}, nil, 0
}

// note stores what was confirmed, for other replicas and after a restart. A crash before the
// commit leaves what was stored before, which does for most couriers, and costs the line one
// round trip.
func (v *leaving) note(tx store.LineTx) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.confirmed.N <= v.noted {
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
	if len(v.sizes) == 0 || v.sizes[len(v.sizes)-1] < size {
		v.sizes = append(v.sizes, size)
		if len(v.sizes) > wire.MaxSteps/2 {
			v.sizes = v.sizes[1:]
		}
	}
	return from
}
