// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// DeleteObjects implements store.Objects.
//
//  1. very many dependents lapse, in steps         crash after any: these are decided again, as before
//  2. one transaction: the other dependents, and   crash before its commit: the records are there, with what was decided
//     those decided since, lapse; the records go   by looking at them; after it they are gone, and what was decided by
//     them is to be decided again
func (s *Store) DeleteObjects(ctx context.Context, collection string, q store.Query, dependents ...store.Dependents) (int, error) {
	err := checkQuery(q, 1)
	if err == nil && len(q.IDs) == 0 {
		err = errors.New("no ids are given")
	}
	if err != nil {
		return 0, fmt.Errorf("deleting objects: %w", err)
	}
	q.NoContent = true
	if there, err := s.lapseBefore(ctx, collection, q, dependents); !there || err != nil {
		return 0, err
	}
	deleted := 0
	err = s.changeFeeds(ctx, "deleting objects", func(ctx context.Context, tx pgx.Tx) error {
		// No position is needed yet, but the clock's row: every change of what feeds keep holds it.
		if _, err := s.tick(ctx, tx, 0); err != nil {
			return err
		}
		c, err := s.selectObjects(ctx, tx, collection, q)
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
		if err := s.lapseDependents(ctx, tx, dependents); err != nil {
			return err
		}
		if err := s.deleteRecords(ctx, tx, collection, page.Records); err != nil {
			return err
		}
		noteObjects(ctx)
		return forgetGone(ctx, tx, collection, page.Records, micros(s.now()))
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

// lapseBefore has the decisions about very many dependents lapse before the transaction of a deletion, so that other changes of feeds,
// which wait for the clock's row, wait only until it has found in the indexes that nothing is left to do, some microseconds for
// each. It returns false if there is nothing to delete.
func (s *Store) lapseBefore(ctx context.Context, collection string, q store.Query, dependents []store.Dependents) (bool, error) {
	n := 0
	for _, d := range dependents {
		n += len(d.IDs)
	}
	if n <= lapseAtOnce {
		return true, nil
	}
	q.Limit = 1
	page, err := s.ListObjects(ctx, collection, q)
	if err != nil || len(page.Records) == 0 {
		return false, err
	}
	for _, d := range dependents {
		for part := range slices.Chunk(d.IDs, store.MaxRecords) {
			if err := s.Lapse(ctx, d.Collection, part); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// lapseDependents takes back the decisions about dependents.
func (s *Store) lapseDependents(ctx context.Context, tx pgx.Tx, dependents []store.Dependents) error {
	for _, d := range dependents {
		words, err := s.find(ctx, tx, d.Collection)
		number, ok := words[d.Collection]
		if err != nil {
			return err
		}
		if !ok || len(d.IDs) == 0 {
			continue
		}
		if err := s.lapse(ctx, tx, number, d.IDs); err != nil {
			return err
		}
	}
	return nil
}

// deleteRecords takes the records out of every sum that they are in, then away.
// Progress stays true: what was passed is decided, or gone. What was handed out becomes a withdrawal.
func (s *Store) deleteRecords(ctx context.Context, tx pgx.Tx, collection string, records []store.Record) error {
	seqs := make([]int64, len(records))
	for i, r := range records {
		seqs[i] = r.Seq
	}
	if err := s.takeBack(ctx, tx, seqs); err != nil {
		return err
	}
	for _, statement := range []string{
		`UPDATE decision_counts c SET records = c.records - s.n FROM (SELECT d.view, d.collection, d.rule, d.share, d.reason, count(*) AS n
			FROM views v CROSS JOIN decisions d WHERE d.view = v.id AND d.seq = ANY ($1) GROUP BY 1, 2, 3, 4, 5) s
			WHERE (c.view, c.collection, c.rule, c.share, c.reason) = (s.view, s.collection, s.rule, s.share, s.reason)`,
		"DELETE FROM decisions d USING views v WHERE d.view = v.id AND d.seq = ANY ($1)",
		"DELETE FROM decision_evidence d USING views v WHERE d.view = v.id AND d.seq = ANY ($1)",
		"DELETE FROM objects WHERE seq = ANY ($1)",
	} {
		if _, err := tx.Exec(ctx, statement, seqs); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "DELETE FROM decision_counts WHERE records = 0"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "UPDATE collections SET objects = objects - $1, deletions = deletions + $1 WHERE collection = (SELECT id FROM words WHERE word = $2)",
		int64(len(records)), collection)
	return err
}
