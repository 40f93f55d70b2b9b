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
func (s *Store) DeleteObjects(ctx context.Context, collection string, q store.Query) (int, error) {
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
		deleted = len(page.Records)
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
	if len(records) == 0 {
		return nil
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
