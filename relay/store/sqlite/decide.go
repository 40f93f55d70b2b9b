// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// Decide implements store.Views.
func (s *Store) Decide(ctx context.Context, v store.View, decisions []store.Decision) error {
	if len(decisions) > store.MaxRecords {
		return fmt.Errorf("storing decisions: %d at once are more than %d", len(decisions), store.MaxRecords)
	}
	if len(decisions) == 0 {
		return nil
	}
	if err := s.keepReserve(1); err != nil {
		return fmt.Errorf("storing decisions: %w", err)
	}
	return s.change(ctx, feed, "storing decisions", func(tx *sql.Tx) error {
		d, err := s.newDeciding(ctx, tx, v)
		if err != nil {
			return err
		}
		defer d.close()
		for _, decision := range decisions {
			if err := d.one(ctx, decision); err != nil {
				return err
			}
		}
		return d.finish(ctx)
	})
}

// group is what decisions are counted by.
type group struct {
	collection, rule int64
	share            bool
	reason           int64
}

// deciding is one Decide: its statements are prepared once, sums are written at the end.
type deciding struct {
	lens
	tx     *sql.Tx
	words  *vocabulary
	ticker *ticker
	before *sql.Stmt
	write  *sql.Stmt
	change map[group]int64
}

func (s *Store) newDeciding(ctx context.Context, tx *sql.Tx, v store.View) (*deciding, error) {
	d := &deciding{tx: tx, words: newVocabulary(tx), change: map[group]int64{}}
	var err error
	if d.ticker, err = s.newTicker(ctx, tx); err != nil {
		return nil, err
	}
	if d.rule, err = d.words.id(ctx, v.Rule); err != nil {
		return nil, err
	}
	if _, err = tx.ExecContext(ctx, "INSERT INTO views (feed, peer) VALUES (?, ?) ON CONFLICT DO NOTHING", v.Feed, v.Peer); err != nil {
		return nil, err
	}
	if err = tx.QueryRowContext(ctx, "SELECT id FROM views WHERE feed = ? AND peer = ?", v.Feed, v.Peer).Scan(&d.view); err != nil {
		return nil, err
	}
	if d.before, err = tx.PrepareContext(ctx, `SELECT o.collection, o.type, coalesce(d.rule, 0), coalesce(d.share, 0),
		coalesce(d.reason, 0), coalesce(d.added, 0)
		FROM objects o LEFT JOIN decisions d ON d.view = ? AND d.seq = o.seq WHERE o.seq = ?`); err != nil {
		return nil, err
	}
	d.write, err = tx.PrepareContext(ctx, `INSERT INTO decisions (view, seq, rule, share, reason, added, collection, type)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (view, seq) DO UPDATE
		SET rule = excluded.rule, share = excluded.share, reason = excluded.reason, added = excluded.added`)
	if err != nil {
		return nil, errors.Join(err, d.before.Close())
	}
	return d, nil
}

func (d *deciding) close() {
	_, _ = d.before.Close(), d.write.Close() // they end with the transaction in any case
}

func (d *deciding) one(ctx context.Context, decision store.Decision) error {
	var (
		was        group
		typ, added int64
	)
	err := d.before.QueryRowContext(ctx, d.view, decision.Seq).
		Scan(&was.collection, &typ, &was.rule, &was.share, &was.reason, &added)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("record %d: %w", decision.Seq, store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	reason, err := d.words.id(ctx, decision.Reason)
	if err != nil {
		return err
	}
	is := group{collection: was.collection, rule: d.rule, share: decision.Share, reason: reason}
	switch {
	case !is.share:
		added = 0
	case !was.share:
		added = d.ticker.next()
	}
	if was.rule != 0 {
		d.change[was]--
	}
	d.change[is]++
	_, err = d.write.ExecContext(ctx, d.view, decision.Seq, is.rule, is.share, is.reason, added, is.collection, typ)
	return err
}

// finish writes the sums and moves the progress of the collections.
func (d *deciding) finish(ctx context.Context) error {
	if err := d.ticker.save(ctx); err != nil {
		return err
	}
	collections := map[int64]bool{}
	for g, n := range d.change {
		collections[g.collection] = true
		if n == 0 {
			continue
		}
		if _, err := d.tx.ExecContext(ctx, `INSERT INTO decision_counts (view, collection, rule, share, reason, records)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET records = records + excluded.records`,
			d.view, g.collection, g.rule, g.share, g.reason, n); err != nil {
			return err
		}
	}
	if _, err := d.tx.ExecContext(ctx, "DELETE FROM decision_counts WHERE view = ? AND records = 0", d.view); err != nil {
		return err
	}
	for collection := range collections {
		if err := d.progress(ctx, collection); err != nil {
			return err
		}
	}
	return nil
}

// progress moves to the record before the first undecided one. Each record is
// walked over once for each rule, as the walk begins where the last one ended.
func (d *deciding) progress(ctx context.Context, collection int64) error {
	from, err := decidedTo(ctx, d.tx, d.lens, collection)
	if err != nil {
		return err
	}
	var to int64
	err = d.tx.QueryRowContext(ctx, `SELECT o.seq FROM objects o WHERE o.collection = ? AND o.seq > ?
		AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.view = ? AND d.seq = o.seq AND d.rule = ?)
		ORDER BY o.seq LIMIT 1`, collection, from, d.view, d.rule).Scan(&to)
	switch {
	case err == nil:
		to--
	case errors.Is(err, sql.ErrNoRows):
		err = d.tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM objects WHERE collection = ?", collection).Scan(&to)
	}
	if err != nil {
		return err
	}
	_, err = d.tx.ExecContext(ctx, `INSERT INTO decision_progress (view, collection, rule, decided_to) VALUES (?, ?, ?, ?)
		ON CONFLICT (view, collection) DO UPDATE SET rule = excluded.rule, decided_to = excluded.decided_to`,
		d.view, collection, d.rule, max(from, to))
	return err
}
