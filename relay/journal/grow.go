// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// HashReader reads stored hashes of a log by their index, as package tlog numbers them.
type HashReader = tlog.HashReader

// Stored is a hash to be stored, by its index.
type Stored struct {
	Index int64
	Hash  tlog.Hash
}

// Grow appends leaf hashes to a tree. It returns the tree as it is then, and the hashes
// to store with it. It reads the right edge of the tree only, and writes nothing.
func Grow(tree tlog.Tree, leaves []tlog.Hash, stored HashReader) (tlog.Tree, []Stored, error) {
	if tree.N+int64(len(leaves)) > MaxSize {
		return tlog.Tree{}, nil, fmt.Errorf("growing log: more than %d entries", int64(MaxSize))
	}
	if len(leaves) == 0 {
		return tree, nil, nil
	}
	e, err := edgeOf(tree.N, stored)
	if err != nil {
		return tlog.Tree{}, nil, fmt.Errorf("growing log at entry %d: %w", tree.N, err)
	}
	next := tlog.StoredHashCount(tree.N)
	out := make([]Stored, 0, tlog.StoredHashCount(tree.N+int64(len(leaves)))-next)
	var room [maxHashes + 1]tlog.Hash
	for _, leaf := range leaves {
		completed := e.completes(room[:0], leaf)
		for _, h := range completed {
			out = append(out, Stored{Index: next, Hash: h})
			next++
		}
		e.add(completed)
	}
	return tlog.Tree{N: e.size, Hash: e.root()}, out, nil
}

// edgeOf reads the right edge of a tree.
func edgeOf(size int64, stored HashReader) (edge, error) {
	e := edge{size: size, roots: make([]tlog.Hash, 0, maxHashes+1)}
	if size == 0 {
		return e, nil
	}
	at := make([]int64, 0, bits.OnesCount64(uint64(size))) //nolint:gosec // never negative
	before := int64(0)
	for level := bits.Len64(uint64(size)) - 1; level >= 0; level-- { //nolint:gosec // never negative
		if size>>level&1 == 1 {
			at = append(at, tlog.StoredHashIndex(level, before>>level))
			before += 1 << level
		}
	}
	read, err := stored.ReadHashes(at)
	if err != nil {
		return e, err
	}
	if len(read) != len(at) {
		return e, fmt.Errorf("reading %d hashes: got %d", len(at), len(read))
	}
	e.roots = append(e.roots, read...)
	return e, nil
}

// Prove makes the proof of an entry under a signed checkpoint of the tree.
func Prove(tree tlog.Tree, index int64, checkpoint []byte, stored HashReader) (Proof, error) {
	if index < 0 || index >= tree.N {
		return Proof{}, fmt.Errorf("proving entry %d: the log has %d", index, tree.N)
	}
	path, err := tlog.ProveRecord(tree.N, index, stored)
	if err != nil {
		return Proof{}, fmt.Errorf("proving entry %d of %d: %w", index, tree.N, err)
	}
	return Proof{Index: index, Path: path, Checkpoint: checkpoint}, nil
}

// ProveConsistent makes the proof that a tree continues an older state of itself.
func ProveConsistent(older int64, tree tlog.Tree, stored HashReader) (tlog.TreeProof, error) {
	if older <= 0 || older >= tree.N {
		return nil, nil // nothing is to be proven
	}
	path, err := tlog.ProveTree(tree.N, older, stored)
	if err != nil {
		return nil, fmt.Errorf("proving that %d entries continue %d: %w", tree.N, older, err)
	}
	return path, nil
}
