// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
)

// ErrUnlinked: there is no consistency proof from that state.
var ErrUnlinked = errors.New("no proof from what is held")

// Opened is a batch whose checkpoint was verified.
type Opened struct {
	*Batch
	// State of the log that the checkpoint signs.
	Log journal.Checkpoint
	// proven nodes of the tree, by level and index.
	proven map[node]proven
}

// proven is a node that leads to the checkpoint's root over the rest of a path.
type proven struct {
	hash tlog.Hash
	rest []uint16
}

// made is a node on the way up.
type made struct {
	node
	proven
}

type node struct {
	level int
	index int64
}

// Open verifies the checkpoint of a batch: it is of the log of that origin, by that key.
// Errors wrap those of journal.OpenCheckpoint.
func (b *Batch) Open(origin string, key ed25519.PublicKey) (*Opened, error) {
	c, err := journal.OpenCheckpoint(b.Checkpoint, origin, key)
	if err != nil {
		return nil, err
	}
	return &Opened{Batch: b, Log: c, proven: make(map[node]proven, 2*len(b.Entries))}, nil
}

// Continues verifies that the checkpoint continues an older one of the same log. Errors
// wrap ErrUnlinked, or journal.ErrForked.
func (o *Opened) Continues(held tlog.Tree) error {
	older := journal.Checkpoint{Origin: o.Log.Origin, Tree: held}
	if held.N == 0 || held.N >= o.Log.Tree.N {
		return journal.CheckConsistent(older, o.Log, nil)
	}
	for _, s := range o.Steps {
		if s.From != held.N {
			continue
		}
		path := make(tlog.TreeProof, 0, len(s.Path)/hashBytes)
		for at := 0; at < len(s.Path); at += hashBytes {
			path = append(path, tlog.Hash(s.Path[at:at+hashBytes]))
		}
		return journal.CheckConsistent(older, o.Log, path)
	}
	return fmt.Errorf("comparing checkpoints of %q at %d and %d: %w", o.Log.Origin, held.N, o.Log.Tree.N, ErrUnlinked)
}

// Link is what is to be remembered of one consistency proof, to compare a checkpoint of its size with
// this one later.
func (o *Opened) Link(s Step) *Opened {
	return &Opened{Batch: &Batch{Steps: []Step{s}}, Log: o.Log}
}

// Check verifies that an entry is in the log (RFC 9162, section 2.1.3.2). Errors wrap
// journal.ErrNotIncluded. A node that was proven before, with the same way up, ends the work.
func (o *Opened) Check(e *Entry) error {
	if !o.includes(e) {
		return fmt.Errorf("checking entry %d: %w", e.Index, journal.ErrNotIncluded)
	}
	return nil
}

func (o *Opened) includes(e *Entry) bool {
	if e.Index < 0 || e.Index >= o.Log.Tree.N {
		return false
	}
	// made are the nodes that hold if this entry does, so they are kept only then.
	var made [maxPath]made
	at, last := node{0, e.Index}, o.Log.Tree.N-1
	hash := journal.LeafHash(journal.Kind(e.Kind), e.Body)
	for i, position := range e.Path {
		if known, ok := o.proven[at]; ok && slices.Equal(known.rest, e.Path[i:]) {
			return o.keep(made[:i], known.hash == hash)
		}
		if last == 0 {
			return false
		}
		made[i].node, made[i].hash, made[i].rest = at, hash, e.Path[i:]
		if at.index&1 == 1 || at.index == last {
			// A node without a right neighbour rises as it is.
			for at.index&1 == 0 && at.index != 0 {
				at, last = node{at.level + 1, at.index >> 1}, last>>1
			}
			hash = tlog.NodeHash(o.hash(position), hash)
		} else {
			hash = tlog.NodeHash(hash, o.hash(position))
		}
		at, last = node{at.level + 1, at.index >> 1}, last>>1
	}
	return o.keep(made[:len(e.Path)], last == 0 && hash == o.Log.Tree.Hash)
}

// keep keeps nodes if they hold, and tells whether.
func (o *Opened) keep(list []made, holds bool) bool {
	if holds {
		for _, m := range list {
			o.proven[m.node] = m.proven
		}
	}
	return holds
}

func (o *Opened) hash(position uint16) tlog.Hash {
	from := int(position) * hashBytes
	return tlog.Hash(o.Hashes[from : from+hashBytes])
}

// Proof is the proof of an entry alone, as C2SP tlog-proof has it.
func (o *Opened) Proof(e *Entry) journal.Proof {
	p := journal.Proof{Index: e.Index, Path: make(tlog.RecordProof, len(e.Path)), Checkpoint: o.Checkpoint}
	for i, position := range e.Path {
		p.Path[i] = o.hash(position)
	}
	return p
}
