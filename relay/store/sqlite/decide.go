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
	for _, d := range decisions {
		if len(d.Evidence) > store.MaxEvidence {
			return fmt.Errorf("storing decisions: evidence of %d bytes is longer than %d", len(d.Evidence), store.MaxEvidence)
		}
	}
	if len(decisions) == 0 {
		return nil
	}
	size := int64(len(decisions)) * decisionWrite
	if err := s.keepReserve(1, size); err != nil {
		return fmt.Errorf("storing decisions: %w", err)
	}
	s.checkpoints.wrote(size)
	return s.change(ctx, feed, "storing decisions", func(tx *transaction) error {
		d, err := s.newDeciding(ctx, tx, v)
		if err != nil {
			return err
		}
		for _, decision := range decisions {
			if err := d.one(ctx, decision); err != nil {
				return err
			}
		}
		if err := d.finish(ctx); err != nil {
			return err
		}
		s.watches.decided(decisions)
		return lapseBaseless(ctx, tx, decisions)
	})
}

// group is what decisions are counted by.
type group struct {
	collection, rule int64
	share            bool
	reason           int64
}

// deciding is one Decide: sums are written at the end.
type deciding struct {
	lens
	tx     *transaction
	words  *vocabulary
	ticker *ticker
	change map[group]int64
	// now is the time of the decisions, handed the position up to which records were handed out.
	now, handed int64
	takings     int64
}

// earlier is what was decided about a record before.
type earlier struct {
	group
	typ, added, form int64
	evidence         bool
}

func (s *Store) newDeciding(ctx context.Context, tx *transaction, v store.View) (*deciding, error) {
	d := &deciding{tx: tx, words: newVocabulary(tx), change: map[group]int64{}}
	var err error
	if d.ticker, err = s.newTicker(ctx, tx); err != nil {
		return nil, err
	}
	if d.rule, err = d.words.id(ctx, v.Rule); err != nil {
		return nil, err
	}
	if d.view, err = viewID(ctx, tx, v.Feed, v.Peer); err != nil {
		return nil, err
	}
	if err = tx.QueryRowContext(ctx, "SELECT handed_to FROM views WHERE id = ?", d.view).Scan(&d.handed); err != nil {
		return nil, err
	}
	d.now = s.now().UnixMicro()
	return d, nil
}

// The statements of deciding: writeDecision writes what all decisions have, writeSpecial also what few have.
const (
	decidedBefore = `SELECT o.collection, o.type, coalesce(d.rule, 0), coalesce(d.share, 0), coalesce(d.reason, 0), coalesce(d.added, 0),
		coalesce(d.form, 0), coalesce(d.evidence, 0) FROM objects o LEFT JOIN decisions d ON d.view = ? AND d.seq = o.seq WHERE o.seq = ?`
	writeDecision = `INSERT INTO decisions (view, seq, rule, share, reason, added, collection, type, decided)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (view, seq) DO UPDATE SET rule = excluded.rule, share = excluded.share,
		reason = excluded.reason, added = excluded.added, decided = excluded.decided, until = 0, form = 0, evidence = 0`
	writeSpecial = `INSERT INTO decisions (view, seq, rule, share, reason, added, collection, type, decided, until, form, evidence)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (view, seq) DO UPDATE SET rule = excluded.rule, share = excluded.share,
		reason = excluded.reason, added = excluded.added, decided = excluded.decided, until = excluded.until, form = excluded.form,
		evidence = excluded.evidence`
)

// viewID returns the number of a view, and makes one for a new view.
func viewID(ctx context.Context, tx *transaction, feed, peer string) (id int64, err error) {
	if _, err = tx.ExecContext(ctx, "INSERT INTO views (feed, peer) VALUES (?, ?) ON CONFLICT DO NOTHING", feed, peer); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT id FROM views WHERE feed = ? AND peer = ?", feed, peer).Scan(&id)
	return id, err
}

func (d *deciding) one(ctx context.Context, decision store.Decision) error {
	var was earlier
	err := d.tx.QueryRowContext(ctx, decidedBefore, d.view, decision.Seq).
		Scan(&was.collection, &was.typ, &was.rule, &was.share, &was.reason, &was.added, &was.form, &was.evidence)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("record %d: %w", decision.Seq, store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	var form int64
	if decision.Form != "" {
		if form, err = d.words.id(ctx, decision.Form); err != nil {
			return err
		}
	}
	handed := was.share && was.added <= d.handed
	if decision.Share && handed && form != was.form {
		decision = store.Decision{Seq: decision.Seq, Reason: store.Replacing, Until: lapsedAtOnce}
		form = 0
	}
	if was.share && (!decision.Share || form != was.form) {
		d.takings++ // also for a form: a page that was just read has the one before
	}
	if handed && !decision.Share {
		if err := withdraw(ctx, d.tx, d.ticker, d.view, decision.Seq); err != nil {
			return err
		}
	}
	return d.store(ctx, decision, was, form)
}

// store writes the decision and what it changes in the sums.
func (d *deciding) store(ctx context.Context, decision store.Decision, was earlier, form int64) error {
	reason, err := d.words.id(ctx, decision.Reason)
	if err != nil {
		return err
	}
	is := group{collection: was.collection, rule: d.rule, share: decision.Share, reason: reason}
	added := was.added
	switch {
	case !is.share:
		added, form = 0, 0
	case !was.share:
		added = d.ticker.next()
	}
	if was.rule != 0 {
		d.change[was.group]--
	}
	d.change[is]++
	if err := d.evidence(ctx, decision, was); err != nil {
		return err
	}
	if form == 0 && decision.Until.IsZero() && decision.Evidence == "" {
		_, err = d.tx.ExecContext(ctx, writeDecision, d.view, decision.Seq, is.rule, is.share, is.reason, added, is.collection, was.typ, d.now)
		return err
	}
	_, err = d.tx.ExecContext(ctx, writeSpecial, d.view, decision.Seq, is.rule, is.share, is.reason, added, is.collection, was.typ, d.now,
		micros(decision.Until), form, decision.Evidence != "")
	return err
}

func (d *deciding) evidence(ctx context.Context, decision store.Decision, was earlier) (err error) {
	switch {
	case decision.Evidence != "":
		_, err = d.tx.ExecContext(ctx, `INSERT INTO decision_evidence (view, seq, evidence) VALUES (?, ?, ?)
			ON CONFLICT (view, seq) DO UPDATE SET evidence = excluded.evidence`, d.view, decision.Seq, decision.Evidence)
	case was.evidence:
		_, err = d.tx.ExecContext(ctx, "DELETE FROM decision_evidence WHERE view = ? AND seq = ?", d.view, decision.Seq)
	}
	return err
}

// finish writes the sums and moves the progress of the collections.
func (d *deciding) finish(ctx context.Context) error {
	if err := d.ticker.save(ctx); err != nil {
		return err
	}
	if d.takings > 0 {
		if _, err := d.tx.ExecContext(ctx, "UPDATE views SET takings = takings + ? WHERE id = ?", d.takings, d.view); err != nil {
			return err
		}
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
