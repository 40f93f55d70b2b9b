// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Entry is an entry as it is stored.
type Entry struct {
	Kind Kind
	Body []byte
}

// Auditor is an audit under way, for a log that is read in parts. The zero value is at
// the beginning of the log.
type Auditor struct{ edge edge }

// Size is the number of entries that were found whole.
func (a *Auditor) Size() int64 { return a.edge.size }

// Add compares the next entry with the hashes that are stored of it: its own, and those
// of the subtrees that it completes. Errors wrap ErrDamaged, and nothing is added.
func (a *Auditor) Add(entry Entry, stored HashReader) error {
	index := a.edge.size
	want := a.edge.completes(nil, LeafHash(entry.Kind, entry.Body))
	at := make([]int64, len(want))
	for i := range at {
		at[i] = tlog.StoredHashIndex(0, index) + int64(i)
	}
	have, err := stored.ReadHashes(at)
	if err != nil {
		return fmt.Errorf("auditing entry %d: its hash is not there: %w: %w", index, ErrDamaged, err)
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("auditing entry %d: it is not what was hashed when it was written: %w", index, ErrDamaged)
	}
	a.edge.add(want)
	return nil
}

// Compare compares what was added so far with a checkpoint of that size. Errors wrap ErrDamaged.
func (a *Auditor) Compare(c Checkpoint) error {
	if c.Tree.N != a.edge.size || c.Tree.N > 0 && a.edge.root() != c.Tree.Hash {
		return fmt.Errorf("auditing %q: the first %d entries are not those that were signed: %w", c.Origin, c.Tree.N, ErrDamaged)
	}
	return nil
}

// edge is the right edge of a growing tree: the roots of its complete subtrees, the
// largest first, as the bits of size say.
type edge struct {
	size  int64
	roots []tlog.Hash
}

// completes returns the next leaf and the roots of the subtrees that it completes, in
// the order in which they are stored, in the memory of out, which is empty.
func (e *edge) completes(out []tlog.Hash, leaf tlog.Hash) []tlog.Hash {
	out, last := append(out, leaf), len(e.roots)
	for n := e.size; n&1 == 1; n >>= 1 {
		last--
		out = append(out, tlog.NodeHash(e.roots[last], out[len(out)-1]))
	}
	return out
}

// add takes what completes returned.
func (e *edge) add(completed []tlog.Hash) {
	e.roots = append(e.roots[:len(e.roots)-(len(completed)-1)], completed[len(completed)-1])
	e.size++
}

func (e *edge) root() tlog.Hash {
	if len(e.roots) == 0 {
		return tlog.Hash{}
	}
	root := e.roots[len(e.roots)-1]
	for i := len(e.roots) - 2; i >= 0; i-- {
		root = tlog.NodeHash(e.roots[i], root)
	}
	return root
}
