// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
)

// Prover adds entries of a log to a batch, with proofs under one state of the log. Hashes
// that several proofs need are read and sent once.
type Prover struct {
	batch  *Batch
	tree   tlog.Tree
	hashes journal.HashReader
	// at is where in the batch the hashes over spans of entries are.
	at map[span]uint16
}

// span is the entries from lo up to hi, which is not among them.
type span struct{ lo, hi int64 }

// NewProver proves under the state of the checkpoint that goes with the batch.
func NewProver(b *Batch, tree tlog.Tree, hashes journal.HashReader) *Prover {
	return &Prover{batch: b, tree: tree, hashes: hashes}
}

// Add adds entries, of which it fills in the paths. All hashes that they need are read at once:
// add many in one call. After an error the batch is of no use.
func (p *Prover) Add(entries ...Entry) error {
	if p.at == nil {
		p.at = make(map[span]uint16, 2*len(entries)+usualPath)
	}
	paths := make([]uint16, 0, (len(entries)+1)*usualPath)
	news := make([]span, 0, 2*len(entries)+usualPath)
	before := len(p.batch.Hashes) / hashBytes
	p.batch.Entries = slices.Grow(p.batch.Entries, len(entries))
	for _, e := range entries {
		if e.Index < 0 || e.Index >= p.tree.N {
			return fmt.Errorf("proving entry %d: the log has %d", e.Index, p.tree.N)
		}
		var room [maxPath]span
		from := len(paths)
		for _, s := range siblings(room[:0], span{0, p.tree.N}, e.Index) {
			at, ok := p.at[s]
			if !ok {
				at = uint16(before + len(news)) //nolint:gosec // at most maxHashes
				p.at[s], news = at, append(news, s)
			}
			paths = append(paths, at)
		}
		e.Path = paths[from:len(paths):len(paths)]
		p.batch.Entries = append(p.batch.Entries, e)
	}
	if err := p.read(news); err != nil {
		return fmt.Errorf("proving %d entries of %d: %w", len(entries), p.tree.N, err)
	}
	return nil
}

// usualPath is how long a path is in a log of some million entries.
const usualPath = 24

// siblings are the spans whose hashes lead from the entry at an index to the root over s: the
// inclusion proof of RFC 6962 section 2.1.1, from the entry upwards.
func siblings(out []span, s span, index int64) []span {
	if s.hi-s.lo <= 1 {
		return out
	}
	left, right := s.split()
	if index < left.hi {
		return append(siblings(out, left, index), right)
	}
	return append(siblings(out, right, index), left)
}

// split is where RFC 6962 parts a tree: after the largest power of two below its size.
func (s span) split() (left, right span) {
	k := s.lo + int64(1)<<(bits.Len64(uint64(s.hi-s.lo-1))-1) //nolint:gosec // at least 2 entries
	return span{s.lo, k}, span{k, s.hi}
}

// whole tells whether a span has a stored hash, and at which level.
func (s span) whole() (level int, ok bool) {
	n := uint64(s.hi - s.lo) //nolint:gosec // never negative
	return bits.TrailingZeros64(n), n&(n-1) == 0
}

// parts are the spans with stored hashes that one is made of.
func (s span) parts(out []span) []span {
	if _, ok := s.whole(); ok {
		return append(out, s)
	}
	left, right := s.split()
	return right.parts(append(out, left))
}

// read adds the hashes over spans to the batch.
func (p *Prover) read(spans []span) error {
	if len(spans) == 0 {
		return nil
	}
	parts := make([]span, 0, len(spans)+usualPath)
	ends := make([]int, len(spans))
	for i, s := range spans {
		parts = s.parts(parts)
		ends[i] = len(parts)
	}
	indexes := make([]int64, len(parts))
	for i, s := range parts {
		level, _ := s.whole()
		indexes[i] = tlog.StoredHashIndex(level, s.lo>>level)
	}
	found, err := p.hashes.ReadHashes(indexes)
	if err != nil {
		return err
	}
	if len(found) != len(indexes) {
		return fmt.Errorf("reading %d hashes: got %d", len(indexes), len(found))
	}
	p.batch.Hashes = slices.Grow(p.batch.Hashes, len(spans)*hashBytes)
	from := 0
	for _, end := range ends {
		h := over(found[from:end])
		p.batch.Hashes, from = append(p.batch.Hashes, h[:]...), end
	}
	return nil
}

// over is the hash over the hashes of the parts of a span.
func over(parts []tlog.Hash) tlog.Hash {
	h := parts[len(parts)-1]
	for i := len(parts) - 2; i >= 0; i-- {
		h = tlog.NodeHash(parts[i], h)
	}
	return h
}

// Alone is the proof of the entry at an index as C2SP tlog-proof has it.
func (p *Prover) Alone(index int64) ([]byte, error) {
	proof, err := journal.Prove(p.tree, index, p.batch.Checkpoint, p.hashes)
	if err != nil {
		return nil, err
	}
	return proof.Text(), nil
}

// Continue adds the proof that the state continues an older one of itself, given by size.
func (p *Prover) Continue(from int64) error {
	path, err := journal.ProveConsistent(from, p.tree, p.hashes)
	if err != nil || path == nil {
		return err
	}
	s := Step{From: from, Path: make([]byte, 0, len(path)*hashBytes)}
	for _, h := range path {
		s.Path = append(s.Path, h[:]...)
	}
	if len(p.batch.Steps) == MaxSteps {
		return fmt.Errorf("proving that %d entries continue %d: there are %d proofs already", p.tree.N, from, MaxSteps)
	}
	p.batch.Steps = append(p.batch.Steps, s)
	return nil
}
