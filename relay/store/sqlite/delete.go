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
// One transaction: a crash before its commit leaves the records and what was decided by looking at them; after it
// the records are gone, and what was decided by them is to be decided again.
func (s *Store) DeleteObjects(ctx context.Context, collection string, q store.Query, dependents ...store.Dependents) (int, error) {
	err := checkQuery(q, 1)
	if err == nil && len(q.IDs) == 0 {
		err = errors.New("no ids are given")
	}
	if err != nil {
		return 0, fmt.Errorf("deleting objects: %w", err)
	}
	q.NoContent = true
	var deleted int
	err = s.makeRoom(ctx, "deleting objects", func(tx *transaction) error {
		deleted = 0
		c, err := selectObjects(ctx, tx, collection, q)
		if err != nil || c == nil {
			return err
		}
		page, err := c.page(ctx, tx, q.Limit)
		if err != nil {
			return err
		}
		if deleted = len(page.Records); deleted == 0 {
			return nil
		}
		if err := lapseDependents(ctx, tx, dependents); err != nil {
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
