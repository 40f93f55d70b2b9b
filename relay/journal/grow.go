// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"

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
	over := &overlay{below: stored, first: tlog.StoredHashCount(tree.N)}
	for _, leaf := range leaves {
		hashes, err := tlog.StoredHashesForRecordHash(tree.N, leaf, over)
		if err != nil {
			return tlog.Tree{}, nil, fmt.Errorf("growing log at entry %d: %w", tree.N, err)
		}
		over.added = append(over.added, hashes...)
		tree.N++
	}
	if len(leaves) == 0 {
		return tree, nil, nil
	}
	root, err := tlog.TreeHash(tree.N, over)
	if err != nil {
		return tlog.Tree{}, nil, fmt.Errorf("growing log to %d entries: %w", tree.N, err)
	}
	out := make([]Stored, len(over.added))
	for i, h := range over.added {
		out[i] = Stored{Index: over.first + int64(i), Hash: h}
	}
	return tlog.Tree{N: tree.N, Hash: root}, out, nil
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

// WithAdded reads the hashes that Grow returned as if they were stored already: proofs
// for a batch are made before it is committed.
func WithAdded(stored HashReader, added []Stored) HashReader {
	if len(added) == 0 {
		return stored
	}
	over := &overlay{below: stored, first: added[0].Index}
	for _, s := range added {
		over.added = append(over.added, s.Hash)
	}
	return over
}

// overlay reads hashes that are not stored yet, above those that are.
type overlay struct {
	below HashReader
	first int64
	added []tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (o *overlay) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var below []int64
	var at []int
	for i, index := range indexes {
		switch {
		case index < o.first:
			below, at = append(below, index), append(at, i)
		case index-o.first < int64(len(o.added)):
			out[i] = o.added[index-o.first]
		default:
			return nil, fmt.Errorf("reading hash %d: there is none", index)
		}
	}
	if len(below) == 0 {
		return out, nil
	}
	read, err := o.below.ReadHashes(below)
	if err != nil {
		return nil, err
	}
	if len(read) != len(below) {
		return nil, fmt.Errorf("reading %d hashes: got %d", len(below), len(read))
	}
	for i, h := range read {
		out[at[i]] = h
	}
	return out, nil
}
