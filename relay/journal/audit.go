// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// Entry is an entry as it is stored.
type Entry struct {
	Kind Kind
	Body []byte
}

// Audit reads a log from its first entry and compares it with what was signed: for each
// checkpoint that was kept, by us or by the peer, ascending by size, the root over the
// entries before it; and for each entry, the hash that is stored of it. It names the
// first entry or checkpoint that does not agree. Memory does not grow with the log.
// Errors wrap ErrDamaged, or are those of reading.
func Audit(entries iter.Seq2[Entry, error], stored HashReader, kept []Checkpoint) (int64, error) {
	var edge edge
	next := 0
	compare := func() error {
		for ; next < len(kept) && kept[next].Tree.N == edge.size; next++ {
			if root := edge.root(); kept[next].Tree.N > 0 && root != kept[next].Tree.Hash {
				return fmt.Errorf("auditing %q: the first %d entries are not those that were signed: %w", kept[next].Origin, edge.size, ErrDamaged)
			}
		}
		return nil
	}
	for entry, err := range entries {
		if err := compare(); err != nil {
			return edge.size, err
		}
		if err != nil {
			return edge.size, fmt.Errorf("auditing entry %d: %w", edge.size, err)
		}
		leaf := LeafHash(entry.Kind, entry.Body)
		have, err := stored.ReadHashes([]int64{tlog.StoredHashIndex(0, edge.size)})
		if err != nil {
			return edge.size, fmt.Errorf("auditing entry %d: its hash is not there: %w: %w", edge.size, ErrDamaged, err)
		}
		if len(have) != 1 || have[0] != leaf {
			return edge.size, fmt.Errorf("auditing entry %d: it is not what was hashed when it was written: %w", edge.size, ErrDamaged)
		}
		edge.add(leaf)
	}
	if err := compare(); err != nil {
		return edge.size, err
	}
	if next < len(kept) {
		return edge.size, fmt.Errorf("auditing %q: %d entries were signed, %d are there: %w", kept[next].Origin, kept[next].Tree.N, edge.size, ErrDamaged)
	}
	return edge.size, nil
}

// edge is the right edge of a growing tree: the roots of its complete subtrees, the
// largest first, as the bits of size say.
type edge struct {
	size  int64
	roots []tlog.Hash
}

func (e *edge) add(leaf tlog.Hash) {
	for n := e.size; n&1 == 1; n >>= 1 {
		leaf = tlog.NodeHash(e.roots[len(e.roots)-1], leaf)
		e.roots = e.roots[:len(e.roots)-1]
	}
	e.roots = append(e.roots, leaf)
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
