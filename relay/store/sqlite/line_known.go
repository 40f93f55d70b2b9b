// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"errors"

	"github.com/certlink/certlink/relay/store"
)

const (
	// mostLines, mostChains and mostPlaces are remembered, of places for each line.
	mostLines  = 1024
	mostChains = 64
	mostPlaces = 1024
)

// lines are what the writer remembers of each line from one ChangeLine to the next, so that a
// message alone does not cost a dozen reads of what the transaction before has just written. Only
// whoever has the turn uses it.
//
// It holds what is committed, and nothing else:
//
//   - a ChangeLine takes what is remembered of its line out, and puts what it knows in the end back
//     before the commit; a transaction that fails, this one or another, lets all be forgotten
//   - so does a change of the hotline that is no ChangeLine, and one that another connection, of a
//     second process, made (PRAGMA data_version)
//   - a ChangeLine that does what is rare, such as to restore, forgets its line: see rare
type lines struct {
	version int64
	of      map[string]*lineState
	shared  *sharedState
	// kept: the transaction that has the turn is a ChangeLine that put back what it knows.
	kept bool
}

// lineState is what is known of one line; all of it may be unknown.
type lineState struct {
	// newest is what Journal returns, peer what PeerCheckpoint returns, nil until read.
	newest *newest
	peer   *store.Checkpoint
	// newestOfPeer are the newest checkpoints of the peer that are kept, nil until read.
	newestOfPeer *kepts
	serials      serials
	// least is at least the urgency of the least urgent message in the queue, once read.
	least     int
	leastRead bool
	// queued has the places in the queue of messages that are in it, not of all.
	queued map[string]queuePlace
}

// sharedState is what is known of what all lines share.
type sharedState struct {
	// chains has numbers of signers' chains, which never change.
	chains map[string]int64
	// evidence is the largest number of any, pos the largest position of a message, 0 until read.
	evidence, pos int64
}

// forget is for when what is stored may be another than was remembered.
func (k *lines) forget() { k.of, k.shared = nil, nil }

// recall takes what is known of a line out; the caller has the turn, and tx has begun.
func (k *lines) recall(ctx context.Context, tx *transaction, peer string) (*lineState, *sharedState, error) {
	var version int64
	if err := tx.QueryRowContext(ctx, dataVersion).Scan(&version); err != nil {
		return nil, nil, err
	}
	if version != k.version {
		k.forget()
		k.version = version
	}
	if k.shared == nil || len(k.shared.chains) >= mostChains {
		k.shared = &sharedState{chains: map[string]int64{}}
	}
	state := k.of[peer]
	if delete(k.of, peer); state == nil {
		state = &lineState{}
	}
	return state, k.shared, nil
}

// keep puts what is known of a line back, just before the commit.
func (k *lines) keep(peer string, state *lineState) {
	if k.kept = true; state == nil {
		return
	}
	if k.of == nil || len(k.of) >= mostLines {
		k.of = map[string]*lineState{}
	}
	k.of[peer] = state
}

// ended is called under the turn after each transaction.
func (k *lines) ended(l lane, err error) {
	if err != nil || l == hotline && !k.kept {
		k.forget()
	}
	k.kept = false
}

// rare is called before what is done to a line that the state does not follow: from then on
// the transaction reads again, and nothing of the line is remembered. A serial that was given out is not
// given out again when its message gets another, so the last one is written before.
func (l *lineTx) rare() error {
	if err := errors.Join(l.write(), l.readSerials()); err != nil {
		return err
	}
	if n := l.state.serials; n.out > 0 || l.moved {
		if err := l.writeSerials(); err != nil {
			return err
		}
	}
	l.state, l.unfollowed, l.queueRead = &lineState{}, true, false
	return nil
}

// remember is for the end of a ChangeLine.
func (l *lineTx) remember() {
	if l.unfollowed {
		l.state = nil
	}
	l.s.lines.keep(l.peer, l.state)
}

// place notes the place in the queue of a message.
func (k *lineState) place(id string, p queuePlace) {
	if k.queued == nil {
		k.queued = map[string]queuePlace{}
	}
	if len(k.queued) < mostPlaces {
		k.queued[id] = p
	}
}

// detached is a checkpoint that may be remembered: what came with a request is not kept for it.
func detached(c store.Checkpoint) *store.Checkpoint {
	c.Signed, c.Chain = bytes.Clone(c.Signed), bytes.Clone(c.Chain)
	return &c
}
