// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// lens is a view with its names turned into numbers; zero numbers are unknown
// to the database and match nothing.
type lens struct {
	view, rule  int64
	collections []int64
	// now hides what was to be decided again by then; 0 hides nothing.
	now int64
}

func findLens(ctx context.Context, tx *transaction, v store.View, collections []string) (lens, error) {
	var l lens
	err := tx.QueryRowContext(ctx, "SELECT id FROM views WHERE feed = ? AND peer = ?", v.Feed, v.Peer).Scan(&l.view)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return lens{}, err
	}
	if l.rule, err = wordID(ctx, tx, v.Rule); err != nil {
		return lens{}, err
	}
	l.collections, err = wordIDs(ctx, tx, collections)
	return l, err
}

// Undecided implements store.Views.
func (s *Store) Undecided(ctx context.Context, v store.View, collections []string, limit int) ([]store.Record, error) {
	if err := checkQuery(store.Query{Limit: limit}, len(collections)); err != nil {
		return nil, fmt.Errorf("listing undecided objects: %w", err)
	}
	var found []store.Record
	err := s.look(ctx, "listing undecided objects", func(tx *transaction) error {
		l, err := findLens(ctx, tx, v, collections)
		if err != nil {
			return err
		}
		for _, collection := range l.collections {
			part, err := undecidedIn(ctx, tx, l, collection, limit)
			if err != nil {
				return err
			}
			found = append(found, part...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b store.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return found[:min(limit, len(found))], nil
}

func undecidedIn(ctx context.Context, tx *transaction, l lens, collection int64, limit int) ([]store.Record, error) {
	from, err := decidedTo(ctx, tx, l, collection)
	if err != nil {
		return nil, err
	}
	var c clause
	c.add(`SELECT o.seq, o.seq, o.stix_id, o.version, o.type, o.spec, o.raw, o.collection, 0 FROM objects o INDEXED BY objects_by_position
		WHERE o.collection = ? AND o.seq > ?
		AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.view = ? AND d.seq = o.seq AND d.rule = ?)
		ORDER BY o.seq LIMIT ?`, collection, from, l.view, l.rule, limit)
	page, err := readPage(ctx, tx, &c, limit)
	return page.Records, err
}

func decidedTo(ctx context.Context, tx *transaction, l lens, collection int64) (int64, error) {
	var to int64
	err := tx.QueryRowContext(ctx, "SELECT decided_to FROM decision_progress WHERE view = ? AND collection = ? AND rule = ?",
		l.view, collection, l.rule).Scan(&to)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return to, err
}

// ListView implements store.Views.
func (s *Store) ListView(ctx context.Context, v store.View, collections []string, q store.Query) (store.Page, error) {
	if err := checkQuery(q, len(collections)); err != nil {
		return store.Page{}, fmt.Errorf("listing view: %w", err)
	}
	var page store.Page
	err := s.look(ctx, "listing view", func(tx *transaction) error {
		c, err := selectView(ctx, tx, v, collections, q)
		if err != nil || c == nil {
			return err
		}
		page, err = c.page(ctx, tx, q.Limit)
		return err
	})
	return page, err
}

// selectView makes the statement of a page of a view. It is nil if nothing can
// match.
func selectView(ctx context.Context, tx *transaction, v store.View, collections []string, q store.Query) (*selection, error) {
	l, err := findLens(ctx, tx, v, collections)
	if err != nil || l.view == 0 || l.rule == 0 || len(l.collections) == 0 {
		return nil, err
	}
	l.now = micros(q.Now)
	end, err := firstStale(ctx, tx, l)
	if err != nil {
		return nil, err
	}
	walk, err := walkEnd(ctx, tx, q, `SELECT added FROM decisions INDEXED BY decisions_shared WHERE view = ? AND share = 1 AND added > ?
		ORDER BY added`, l.view, after(q))
	if err != nil {
		return nil, err
	}
	if end != 0 && walk >= end {
		walk = 0 // the selection ends before that
	}
	s := &selection{end: walk}
	c := &s.clause
	c.add("SELECT o.seq, d.added, o.stix_id, o.version, o.type, o.spec, " + content(q) + ", o.collection, d.form FROM ")
	// The order of the joins is the order of the search: by id when there are ids, else along the view's positions.
	if len(q.IDs) > 0 {
		c.add("objects o INDEXED BY objects_by_key CROSS JOIN decisions d ON d.seq = o.seq")
	} else {
		c.add("decisions d INDEXED BY decisions_shared CROSS JOIN objects o ON o.seq = d.seq")
	}
	c.add(" WHERE d.added > ?", after(q))
	l.shown(c, "d", end)
	if len(q.IDs) > 0 {
		in(c, "o.collection", l.collections)
		in(c, "o.key", keysOf(q.IDs))
		in(c, "o.stix_id", q.IDs)
	}
	if len(q.Types) > 0 {
		types, err := wordIDs(ctx, tx, q.Types)
		if err != nil || len(types) == 0 {
			return nil, err
		}
		in(c, "d.type", types)
	}
	l.siblings(end).narrow(c, q)
	if walk != 0 {
		c.add(" AND d.added <= ?", walk)
	}
	c.add(" ORDER BY d.added LIMIT ?", q.Limit+1)
	return s, nil
}

// shown adds that a row of decisions lets its record be seen; end is what
// firstStale returned.
func (l lens) shown(c *clause, decisions string, end int64) {
	c.add(" AND "+decisions+".view = ? AND "+decisions+".share = 1 AND "+decisions+".rule = ?", l.view, l.rule)
	in(c, decisions+".collection", l.collections)
	if end != 0 {
		c.add(" AND "+decisions+".added < ?", end)
	}
	if l.now != 0 {
		c.add(" AND ("+decisions+".until = 0 OR "+decisions+".until > ?)", l.now)
	}
}

// siblings are the versions that are shown: a held one is not there, not even
// for the question which is the last.
func (l lens) siblings(end int64) siblings {
	var from clause
	from.add("objects n INDEXED BY objects_by_key CROSS JOIN decisions e ON e.seq = n.seq WHERE n.key = o.key AND n.stix_id = o.stix_id")
	in(&from, "n.collection", l.collections)
	l.shown(&from, "e", end)
	return siblings{position: "d.added", theirs: "e.added", from: from.text.String(), args: from.args}
}

// firstStale returns the position of the first record that is shared under
// another rule, 0 if there is none. The sums tell cheaply that there is none,
// which is so except while a changed rule is being applied.
func firstStale(ctx context.Context, tx *transaction, l lens) (int64, error) {
	var sums, first clause
	sums.add("SELECT EXISTS (SELECT 1 FROM decision_counts WHERE view = ? AND share = 1 AND rule <> ?", l.view, l.rule)
	in(&sums, "collection", l.collections)
	sums.add(")")
	var stale bool
	if err := tx.QueryRowContext(ctx, sums.text.String(), sums.args...).Scan(&stale); err != nil || !stale {
		return 0, err
	}
	first.add("SELECT added FROM decisions INDEXED BY decisions_shared WHERE view = ? AND share = 1 AND rule <> ?", l.view, l.rule)
	in(&first, "collection", l.collections)
	first.add(" ORDER BY added LIMIT 1")
	var position int64
	err := tx.QueryRowContext(ctx, first.text.String(), first.args...).Scan(&position)
	return position, err
}

// CountView implements store.Views.
func (s *Store) CountView(ctx context.Context, v store.View, collections []string) (store.Counts, error) {
	counts := store.Counts{Held: map[string]int64{}}
	err := s.look(ctx, "counting view", func(tx *transaction) error {
		l, err := findLens(ctx, tx, v, collections)
		if err != nil {
			return err
		}
		stored, err := countStored(ctx, tx, l.collections)
		if err != nil {
			return err
		}
		decided, err := countDecided(ctx, tx, l, &counts)
		counts.Undecided = stored - decided
		return err
	})
	if err != nil {
		return store.Counts{}, err
	}
	return counts, nil
}

func countDecided(ctx context.Context, tx *transaction, l lens, counts *store.Counts) (decided int64, err error) {
	var c clause
	c.add(`SELECT d.share, w.word, sum(d.records) FROM decision_counts d JOIN words w ON w.id = d.reason
		WHERE d.view = ? AND d.rule = ?`, l.view, l.rule)
	in(&c, "d.collection", l.collections)
	c.add(" GROUP BY d.share, w.word")
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			share   bool
			reason  string
			records int64
		)
		if err := rows.Scan(&share, &reason, &records); err != nil {
			return 0, err
		}
		decided += records
		if share {
			counts.Shared += records
		} else {
			counts.Held[reason] += records
		}
	}
	return decided, rows.Err()
}
