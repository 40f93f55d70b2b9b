// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// lens is a view with its names turned into numbers; zero numbers are unknown
// to the database and match nothing.
type lens struct {
	view, rule  int32
	collections []int32
	// now hides what was to be decided again by then; 0 hides nothing.
	now int64
}

func (s *Store) findLens(ctx context.Context, tx pgx.Tx, v store.View, collections []string) (lens, error) {
	l, err := findView(ctx, tx, v)
	if err != nil {
		return lens{}, err
	}
	rules, err := s.find(ctx, tx, v.Rule)
	if err != nil {
		return lens{}, err
	}
	l.rule = rules[v.Rule]
	l.collections, err = s.findIDs(ctx, tx, collections)
	return l, err
}

func findView(ctx context.Context, tx pgx.Tx, v store.View) (l lens, err error) {
	err = tx.QueryRow(ctx, "SELECT id FROM views WHERE feed = $1 AND peer = $2", v.Feed, v.Peer).Scan(&l.view)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return l, err
}

// Undecided implements store.Views.
func (s *Store) Undecided(ctx context.Context, v store.View, collections []string, limit int) ([]store.Record, error) {
	if err := checkQuery(store.Query{Limit: limit}, len(collections)); err != nil {
		return nil, fmt.Errorf("listing undecided objects: %w", err)
	}
	var found []store.Record
	err := s.look(ctx, s.bulk, "listing undecided objects", func(ctx context.Context, tx pgx.Tx) error {
		l, err := s.findLens(ctx, tx, v, collections)
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

func undecidedIn(ctx context.Context, tx pgx.Tx, l lens, collection int32, limit int) ([]store.Record, error) {
	from, err := decidedTo(ctx, tx, l, collection)
	if err != nil {
		return nil, err
	}
	return undecidedAfter(ctx, tx, l, collection, from, "", limit)
}

// undecidedAfter lists undecided records of a collection behind a position; which
// narrows them down.
func undecidedAfter(ctx context.Context, tx pgx.Tx, l lens, collection int32, after int64, which string, limit int) ([]store.Record, error) {
	c := selection{content: true}
	c.add("SELECT "+wholeRecord+` FROM objects o CROSS JOIN words t CROSS JOIN words n
		WHERE t.id = o.type AND n.id = o.collection AND o.collection = ? AND o.seq > ?`+which+`
		AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.view = ? AND d.seq = o.seq AND d.rule = ?)
		ORDER BY o.seq LIMIT ?`, collection, after, l.view, l.rule, limit)
	page, err := c.read(ctx, tx, limit)
	return page.Records, err
}

func decidedTo(ctx context.Context, tx pgx.Tx, l lens, collection int32) (int64, error) {
	var to int64
	err := tx.QueryRow(ctx, "SELECT decided_to FROM decision_progress WHERE view = $1 AND collection = $2 AND rule = $3",
		l.view, collection, l.rule).Scan(&to)
	if errors.Is(err, pgx.ErrNoRows) {
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
	err := s.look(ctx, s.bulk, "listing view", func(ctx context.Context, tx pgx.Tx) (err error) {
		page, err = s.viewPage(ctx, tx, v, collections, q)
		return err
	})
	return page, err
}

func (s *Store) viewPage(ctx context.Context, tx pgx.Tx, v store.View, collections []string, q store.Query) (store.Page, error) {
	c, err := s.selectView(ctx, tx, v, collections, q)
	if err != nil || c == nil {
		return store.Page{}, err
	}
	return c.page(ctx, tx, q.Limit)
}

// selectView makes the statement of a page of a view. It is nil if nothing can
// match.
func (s *Store) selectView(ctx context.Context, tx pgx.Tx, v store.View, collections []string, q store.Query) (*selection, error) {
	l, err := s.findLens(ctx, tx, v, collections)
	if err != nil || l.view == 0 || l.rule == 0 || len(l.collections) == 0 {
		return nil, err
	}
	l.now = micros(q.Now)
	stale, err := firstStale(ctx, tx, l)
	if err != nil {
		return nil, err
	}
	walk, err := walkEnd(ctx, tx, q, "SELECT added FROM decisions WHERE view = ? AND rule = ? AND share AND added > ? ORDER BY added",
		l.view, l.rule, after(q))
	if err != nil {
		return nil, err
	}
	if stale != 0 && walk >= stale {
		walk = 0 // the selection ends before that
	}
	c := &selection{end: walk, content: !q.NoContent}
	c.add("SELECT o.seq, d.added AS position, o.stix_id, o.version, t.word AS type, o.spec, n.word AS collection, coalesce(f.word, '') AS form" + content(q) + " FROM ")
	// The order of the tables is the order of the search: by id when there are ids, else along the view's positions.
	if len(q.IDs) > 0 {
		c.add("objects o CROSS JOIN decisions d")
	} else {
		c.add("decisions d CROSS JOIN objects o")
	}
	c.add(" CROSS JOIN words t CROSS JOIN words n LEFT JOIN words f ON f.id = d.form WHERE d.seq = o.seq AND t.id = o.type AND n.id = o.collection AND d.added > ?", after(q))
	l.shown(&c.clause, "d", "d.share", stale)
	if len(q.IDs) > 0 {
		c.add(" AND o.collection = ANY (?) AND o.stix_id = ANY (?)", l.collections, q.IDs)
	}
	if len(q.Types) > 0 {
		types, err := s.findIDs(ctx, tx, q.Types)
		if err != nil || len(types) == 0 {
			return nil, err
		}
		c.add(" AND d.type = ANY (?)", types)
	}
	l.siblings(stale).narrow(&c.clause, q)
	if walk != 0 {
		c.add(" AND d.added <= ?", walk)
	}
	c.order("d.added", q)
	return c, nil
}

// shown adds that a row of decisions lets its record be seen; share says that it is shared, and stale is what
// firstStale returned.
func (l lens) shown(c *clause, decisions, share string, stale int64) {
	c.add(" AND "+decisions+".view = ? AND "+share+" AND "+decisions+".rule = ? AND "+decisions+".collection = ANY (?)",
		l.view, l.rule, l.collections)
	if stale != 0 {
		c.add(" AND "+decisions+".added < ?", stale)
	}
	if l.now != 0 {
		c.add(" AND ("+decisions+".until = 0 OR "+decisions+".until > ?)", l.now)
	}
}

// siblings are the versions that are shown: a held one is not there, not even
// for the question which is the last.
func (l lens) siblings(stale int64) siblings {
	var from clause
	from.add("objects n CROSS JOIN decisions e WHERE e.seq = n.seq AND n.stix_id = o.stix_id AND n.collection = ANY (?)", l.collections)
	// Each has one decision in the view, by its key. Without statistics decisions_shared seems as good, which is all of
	// the view: an expression that its predicate does not follow from keeps the planner away from it.
	l.shown(&from, "e", "e.share::int = 1", stale)
	return siblings{position: "d.added", theirs: "e.added", from: from.text.String(), args: from.args}
}

// firstStale returns the position of the first record that is shared under
// another rule, 0 if there is none. The sums tell cheaply which other rules
// there are: none, except while a changed rule is being applied.
func firstStale(ctx context.Context, tx pgx.Tx, l lens) (int64, error) {
	var first int64
	err := tx.QueryRow(ctx, `SELECT coalesce(min((SELECT d.added FROM decisions d WHERE d.view = $1 AND d.rule = r.rule AND d.share
			AND d.collection = ANY ($3) ORDER BY d.added LIMIT 1)), 0)
		FROM (SELECT DISTINCT rule FROM decision_counts WHERE view = $1 AND share AND rule <> $2 AND collection = ANY ($3)) r`,
		l.view, l.rule, l.collections).Scan(&first)
	return first, err
}

// CountView implements store.Views.
func (s *Store) CountView(ctx context.Context, v store.View, collections []string) (store.Counts, error) {
	counts := store.Counts{Held: map[string]int64{}}
	err := s.look(ctx, s.bulk, "counting view", func(ctx context.Context, tx pgx.Tx) error {
		l, err := s.findLens(ctx, tx, v, collections)
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

func countDecided(ctx context.Context, tx pgx.Tx, l lens, counts *store.Counts) (decided int64, err error) {
	rows, err := tx.Query(ctx, `SELECT d.share, w.word, sum(d.records)::bigint FROM decision_counts d CROSS JOIN words w
		WHERE w.id = d.reason AND d.view = $1 AND d.rule = $2 AND d.collection = ANY ($3) GROUP BY d.share, w.word`, l.view, l.rule, l.collections)
	if err != nil {
		return 0, err
	}
	var share bool
	var reason string
	var records int64
	_, err = pgx.ForEachRow(rows, []any{&share, &reason, &records}, func() error {
		decided += records
		if share {
			counts.Shared += records
		} else {
			counts.Held[reason] += records
		}
		return nil
	})
	return decided, err
}
