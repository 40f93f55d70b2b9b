// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"slices"
	"sync"

	"github.com/certlink/certlink/relay/store"
)

// lapseAtOnce is of how many objects at most the decisions lapse under one turn: some ten milliseconds.
const lapseAtOnce = 200

func countIDs(dependents []store.Dependents) (n int) {
	for _, d := range dependents {
		n += len(d.IDs)
	}
	return n
}

// lapseDependents takes back the decisions about dependents. Most of those of a large deletion have lapsed
// before: for these it only looks.
func lapseDependents(ctx context.Context, tx *transaction, dependents []store.Dependents) error {
	for _, d := range dependents {
		number, err := wordID(ctx, tx, d.Collection)
		if err != nil {
			return err
		}
		if number == 0 {
			continue
		}
		for _, id := range d.IDs {
			var decided bool
			if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM objects o INDEXED BY objects_by_key CROSS JOIN views v
				CROSS JOIN decisions d ON d.view = v.id AND d.seq = o.seq
				WHERE o.collection = ?1 AND o.stix_id = ?2 AND o.key = ?3 AND d.rule <> -1)`, number, id, keyOf(id)).Scan(&decided); err != nil {
				return err
			}
			if !decided {
				continue
			}
			if err := lapse(ctx, tx, number, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// watches are the deletions that want to know what is decided meanwhile.
type watches struct {
	mu sync.Mutex // guards what follows
	of map[*watch]bool
}

// watch is one of them. What it saw is for whoever has the turn.
type watch struct {
	// version is that of the file, as the writer saw it: a second process may decide, too.
	version int64
	// seqs are the records that were decided, unless these became too many.
	seqs    map[int64]bool
	tooMany bool
}

func (w *watches) begin(one *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[*watch]bool{}
	}
	w.of[one] = true
}

func (w *watches) end(one *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, one)
}

// decided is called under the turn in which these decisions are stored.
func (w *watches) decided(decisions []store.Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.of {
		for _, d := range decisions {
			if one.seqs[d.Seq] = true; len(one.seqs) > store.MaxRecords {
				one.seqs, one.tooMany = map[int64]bool{}, true
			}
		}
	}
}

// lapseBefore has the decisions about very many dependents lapse before the transaction of a deletion: to look at all of them
// in it would keep hotlines waiting, 9 µs for each. From before the first step on it is watched what is decided, so that the
// deletion has to look at nothing else. It returns nil if there is nothing to delete; else the caller ends the watch.
func (s *Store) lapseBefore(ctx context.Context, collection string, q store.Query, dependents []store.Dependents) (*watch, error) {
	q.Limit = 1
	page, err := s.ListObjects(ctx, collection, q)
	if err != nil || len(page.Records) == 0 {
		return nil, err
	}
	w := &watch{seqs: map[int64]bool{}}
	// Under a turn, so that no decision is half stored when the watch begins.
	if err := s.change(ctx, feed, "deleting objects", func(tx *transaction) error {
		s.watches.begin(w)
		return tx.QueryRowContext(ctx, dataVersion).Scan(&w.version)
	}); err != nil {
		s.watches.end(w)
		return nil, err
	}
	for _, d := range dependents {
		for part := range slices.Chunk(d.IDs, lapseAtOnce) {
			if err := s.makeRoom(ctx, "lapsing decisions", func(tx *transaction) error {
				return lapseDependents(ctx, tx, []store.Dependents{{Collection: d.Collection, IDs: part}})
			}); err != nil {
				s.watches.end(w)
				return nil, err
			}
		}
	}
	return w, nil
}

// lapseSince takes back the decisions about dependents that were stored since the watch began.
func (w *watch) lapseSince(ctx context.Context, tx *transaction, dependents []store.Dependents) error {
	var version int64
	if err := tx.QueryRowContext(ctx, dataVersion).Scan(&version); err != nil {
		return err
	}
	if w.tooMany || version != w.version {
		return lapseDependents(ctx, tx, dependents)
	}
	if len(w.seqs) == 0 {
		return nil
	}
	for _, d := range dependents {
		number, err := wordID(ctx, tx, d.Collection)
		if err != nil {
			return err
		}
		if number == 0 {
			continue
		}
		decided, err := w.among(ctx, tx, number, d.IDs)
		if err != nil {
			return err
		}
		for _, id := range decided {
			if err := lapse(ctx, tx, number, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// among returns the objects of a collection, among these, of which a record was decided.
func (w *watch) among(ctx context.Context, tx *transaction, collection int64, ids []string) (decided []string, err error) {
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	for seq := range w.seqs {
		var id string
		var of int64
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(collection), 0), coalesce(max(stix_id), '') FROM objects WHERE seq = ?", seq).Scan(&of, &id); err != nil {
			return nil, err
		}
		if of == collection && wanted[id] {
			decided = append(decided, id)
			delete(wanted, id)
		}
	}
	return decided, nil
}
