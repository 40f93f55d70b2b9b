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

// remembered is how many sizes of the peer's journal are remembered, with what proves that a
// newer state of it continues that size, to compare what was overtaken on the way with what is
// held by now. A batch brings two or three, so that over a path which takes seconds an answer can be
// overtaken by some hundred batches of a busy peer. Each takes less than 4 KiB.
const remembered = 512

// peerLog is what we know in memory of the peer's journal; the store keeps its checkpoints. It is
// true for one era of the store, and forgotten when the store is found in another: another
// replica may have taken that the peer's journal goes on in another history.
type peerLog struct {
	mu   sync.Mutex
	held tlog.Tree
	// era counts how often this was forgotten, and stored is the era of the store.
	era    int
	stored int64
	// met is what the store held when a batch was compared with it last.
	met tlog.Tree
	// links by the size from which they lead, and these in the order in which they came.
	links map[int64]*wire.Opened
	order []int64
	// past are the links of the history that the peer left last.
	past map[int64]*wire.Opened
}

// meets is told what the store holds, before a batch is compared with it.
func (p *peerLog) meets(c *store.Checkpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Era != p.stored || p.held.N > c.Size {
		p.leave()
		p.stored = c.Era
	}
	p.met = treeOf(*c)
}

// lastMet is what the store held when a batch was compared with it last.
func (p *peerLog) lastMet() tlog.Tree {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// accepted notes a batch whose checkpoint was stored, and in which history of the peer's journal that was:
// one that it has left since is not noted.
func (p *peerLog) accepted(o *wire.Opened, era int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if era != p.era {
		return
	}
	if o.Log.Tree.N > p.held.N {
		p.held = o.Log.Tree
	}
	for _, s := range o.Steps {
		p.link(s.From, o.Link(s))
	}
	p.link(o.Log.Tree.N, &wire.Opened{Batch: &wire.Batch{}, Log: o.Log})
}

// link remembers what leads from a size, in the place of the oldest. The caller holds p.mu.
func (p *peerLog) link(from int64, o *wire.Opened) {
	if p.links[from] != nil {
		return
	}
	if p.links == nil {
		p.links = map[int64]*wire.Opened{}
	}
	if len(p.order) == remembered {
		delete(p.links, p.order[0])
		p.order = p.order[1:]
	}
	p.links[from] = o
	p.order = append(p.order, from)
}

// continues tells whether a newer checkpoint that was accepted is known to continue this one.
func (p *peerLog) continues(c journal.Checkpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return leads(p.links, c)
}

// leads tells whether one of these links leads on from a checkpoint.
func leads(links map[int64]*wire.Opened, c journal.Checkpoint) bool {
	o := links[c.Tree.N]
	return o != nil && o.Log.Origin == c.Origin && holds(o.Continues(c.Tree))
}

// broken forgets all: the peer's journal goes on in another history, which is this era of the store. The
// transaction that takes it may still fail, so that only the store knows what is held: the peer must not be
// told of what it did not keep.
func (p *peerLog) broken(era int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	past := p.links
	p.leave()
	p.stored, p.past = era, past
}

// forget is for when the store may hold something else than this knows.
func (p *peerLog) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave()
}

// leave forgets all. The caller holds p.mu.
func (p *peerLog) leave() {
	p.held, p.links, p.order, p.past = tlog.Tree{}, nil, nil, nil
	p.era++
}

// present is the era of this moment.
func (p *peerLog) present() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.era
}

// largest is what was held last; zero where the store is to be asked.
func (p *peerLog) largest() tlog.Tree {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// asked is what was known of the two journals when an answer was asked for: what the peer was seen to
// hold of its own, in which of its histories, and the size of ours. The answer may be overtaken on its way.
type asked struct {
	held tlog.Tree
	era  int
	own  int64
	// byHand: nobody knows when, as somebody carries the answer.
	byHand bool
}

// settlement is what became of an answer.
type settlement int

const (
	// settled: the answer has receipts, refusals, or why each is missing.
	settled settlement = iota
	// retry: nothing was stored at the peer, or its answer shows an older state than we hold.
	retry
	// overtaken: another exchange was faster, at either end, which says nothing of the peer.
	overtaken
)

// asking is what is known now.
func (l *line) asking() asked {
	own := l.knownOwn().Size
	l.peerLog.mu.Lock()
	defer l.peerLog.mu.Unlock()
	return asked{held: l.peerLog.held, era: l.peerLog.era, own: own}
}

// judgeCarried is judge for a batch that somebody carried: that newer ones came meanwhile by another way, or
// that it does not lead there from what we hold, says nothing of the peer, and no other may come for days.
func (l *line) judgeCarried(state string) {
	if state == wire.Continues || state == wire.Forked {
		l.judge(state)
	}
}

// left tells whether the peer's journal went on in another history since that was asked: an answer of
// the one before neither continues it nor speaks against it.
func (p *peerLog) left(a asked) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.era != a.era
}

// overtook tells whether an answer that cannot be compared with what is held by now is no reason to doubt
// the peer: it continues what was held when it was asked for, and the peer has shown more since. What speaks
// against the peer, that two states of one history exclude each other, is not excused by it.
func (p *peerLog) overtook(a asked, o *wire.Opened) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.era != a.era || a.byHand {
		return true
	}
	return p.held.N > a.held.N && o.Log.Tree.N >= a.held.N && holds(o.Continues(a.held))
}

// follow compares the checkpoint of a batch with what we hold of the peer's journal, and
// keeps it when it continues that. It returns the state of package wire; anything but
// wire.Continues means that nothing was done.
func (l *line) follow(tx store.LineTx, o *wire.Opened) (string, error) {
	c, err := heldOf(tx)
	if err != nil {
		return "", err
	}
	l.peerLog.meets(&c)
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
