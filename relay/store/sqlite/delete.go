// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// DeleteObjects implements store.Objects.
//
//  1. very many dependents lapse, in steps; see lapseBefore    crash after any: these are decided again, as before
//  2. one transaction: the other dependents lapse, and those   crash before its commit: the records are there, with what was
//     decided since 1; the records go                          decided by looking at them; after it they are gone, and what
//     was decided by them is to be decided again
func (s *Store) DeleteObjects(ctx context.Context, collection string, q store.Query, dependents ...store.Dependents) (int, error) {
	err := checkQuery(q, 1)
	if err == nil && len(q.IDs) == 0 {
		err = errors.New("no ids are given")
	}
	if err != nil {
		return 0, fmt.Errorf("deleting objects: %w", err)
	}
	q.NoContent = true
	lapsing := lapseDependents
	if countIDs(dependents) > lapseAtOnce {
		w, err := s.lapseBefore(ctx, collection, q, dependents)
		if w == nil || err != nil {
			return 0, err
		}
		defer s.watches.end(w)
		lapsing = w.lapseSince
	}
	var deleted int
	err = s.makeRoom(ctx, "deleting objects", func(tx *transaction) error {
		page, err := selected(ctx, tx, collection, q)
		if deleted = len(page.Records); deleted == 0 || err != nil {
			return err
		}
		if err := lapsing(ctx, tx, dependents); err != nil {
			return err
		}
		if err := s.deleteRecords(ctx, tx, collection, page.Records); err != nil {
			return err
		}
		return forgetGone(ctx, tx, collection, page.Records, micros(s.now()))
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

// selected are the first records of a collection that a query selects.
func selected(ctx context.Context, tx *transaction, collection string, q store.Query) (store.Page, error) {
	c, err := selectObjects(ctx, tx, collection, q)
	if err != nil || c == nil {
		return store.Page{}, err
	}
	return c.page(ctx, tx, q.Limit)
}

// deleteRecords takes the records out of every sum that they are in, then away.
// Progress stays true: what was passed is decided, or gone. What was handed out becomes a withdrawal.
func (s *Store) deleteRecords(ctx context.Context, tx *transaction, collection string, records []store.Record) error {
	ticker, err := s.newTicker(ctx, tx)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := takeBack(ctx, tx, ticker, r.Seq); err != nil {
			return err
		}
		for _, statement := range []string{
			`UPDATE decision_counts SET records = records - 1 WHERE (view, collection, rule, share, reason) IN
				(SELECT d.view, d.collection, d.rule, d.share, d.reason FROM views v CROSS JOIN decisions d ON d.view = v.id WHERE d.seq = ?)`,
			"DELETE FROM decisions WHERE (view, seq) IN (SELECT v.id, ? FROM views v)",
			"DELETE FROM decision_evidence WHERE (view, seq) IN (SELECT v.id, ? FROM views v)",
			"DELETE FROM objects WHERE seq = ?",
		} {
			if _, err := tx.ExecContext(ctx, statement, r.Seq); err != nil {
				return err
			}
		}
	}
	if err := ticker.save(ctx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM decision_counts WHERE records = 0"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE collections SET objects = objects - ?1, deletions = deletions + ?1 WHERE collection = (SELECT id FROM words WHERE word = ?2)",
		len(records), collection)
	return err
}
