// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// lapsed stands for the rule of a decision that was taken back, which matches no word.
const lapsed = -1

// lapsedAtOnce is an Until that is before every time asked for.
var lapsedAtOnce = time.UnixMicro(1).UTC()

// withdraw notes that a peer must drop a record that it was handed.
func withdraw(ctx context.Context, tx *transaction, t *ticker, view, seq int64) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO withdrawals (view, pos, stix_id, version) SELECT ?, ?, stix_id, version FROM objects WHERE seq = ?",
		view, t.next(), seq)
	return err
}

// sharedIn returns the views that share a record, and whether it was handed out there.
func sharedIn(ctx context.Context, tx *transaction, seq int64) (map[int64]bool, error) {
	rows, err := tx.QueryContext(ctx, `SELECT v.id, d.added <= v.handed_to FROM views v CROSS JOIN decisions d ON d.view = v.id
		WHERE d.seq = ? AND d.share = 1`, seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	handed := map[int64]bool{}
	for rows.Next() {
		var view int64
		var out bool
		if err := rows.Scan(&view, &out); err != nil {
			return nil, err
		}
		handed[view] = out
	}
	return handed, rows.Err()
}

// takeBack notes for all views that a record goes away.
func takeBack(ctx context.Context, tx *transaction, t *ticker, seq int64) error {
	handed, err := sharedIn(ctx, tx, seq)
	if err != nil {
		return err
	}
	for view, out := range handed {
		if _, err := tx.ExecContext(ctx, "UPDATE views SET takings = takings + 1 WHERE id = ?", view); err != nil {
			return err
		}
		if !out {
			continue
		}
		if err := withdraw(ctx, tx, t, view, seq); err != nil {
			return err
		}
	}
	return nil
}

// Withdrawals implements store.Outgoing.
func (s *Store) Withdrawals(ctx context.Context, feed, peer string, limit int) ([]store.Withdrawal, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return nil, fmt.Errorf("listing withdrawals: %w", err)
	}
	var found []store.Withdrawal
	err := s.look(ctx, "listing withdrawals", func(tx *transaction) error {
		rows, err := tx.QueryContext(ctx, `SELECT w.pos, w.stix_id, w.version FROM views v CROSS JOIN withdrawals w ON w.view = v.id
			WHERE v.feed = ? AND v.peer = ? ORDER BY w.pos LIMIT ?`, feed, peer, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var w store.Withdrawal
			var version int64
			if err := rows.Scan(&w.Position, &w.ID, &version); err != nil {
				return err
			}
			w.Version = versionTime(version)
			found = append(found, w)
		}
		return rows.Err()
	})
	return found, err
}

// ClearWithdrawals implements store.Outgoing.
func (s *Store) ClearWithdrawals(ctx context.Context, peerFeed, peer string, upTo int64) error {
	return s.makeRoom(ctx, "clearing withdrawals", func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM withdrawals WHERE view = (SELECT id FROM views WHERE feed = ? AND peer = ?) AND pos <= ?",
			peerFeed, peer, upTo)
		return err
	})
}

// Lapse implements store.Outgoing: in steps, each a transaction. A crash between two of them leaves some taken back.
func (s *Store) Lapse(ctx context.Context, collection string, ids []string) error {
	if len(ids) > store.MaxRecords {
		return fmt.Errorf("lapsing decisions: %d at once are more than %d", len(ids), store.MaxRecords)
	}
	for part := range slices.Chunk(ids, lapseAtOnce) {
		if err := s.makeRoom(ctx, "lapsing decisions", func(tx *transaction) error {
			return lapseDependents(ctx, tx, []store.Dependents{{Collection: collection, IDs: part}})
		}); err != nil {
			return err
		}
	}
	return nil
}

// lapse takes back all decisions about the records of an object. Their places stay.
func lapse(ctx context.Context, tx *transaction, collection int64, id string) error {
	const which = `FROM objects o INDEXED BY objects_by_key CROSS JOIN views v CROSS JOIN decisions d ON d.view = v.id AND d.seq = o.seq
		WHERE o.collection = ?1 AND o.stix_id = ?2 AND o.key = ?3 AND d.rule <> -1`
	for _, statement := range []string{
		// Two records of an object may count in the same group.
		`INSERT INTO decision_counts (view, collection, rule, share, reason, records)
			SELECT d.view, d.collection, -1, d.share, d.reason, count(*) ` + which + ` GROUP BY d.view, d.collection, d.share, d.reason
			ON CONFLICT DO UPDATE SET records = records + excluded.records`,
		`INSERT INTO decision_counts (view, collection, rule, share, reason, records)
			SELECT d.view, d.collection, d.rule, d.share, d.reason, -count(*) ` + which + ` GROUP BY d.view, d.collection, d.rule, d.share, d.reason
			ON CONFLICT DO UPDATE SET records = records + excluded.records`,
		"UPDATE decisions SET rule = -1, until = 1 WHERE (view, seq) IN (SELECT d.view, d.seq " + which + ")",
	} {
		if _, err := tx.ExecContext(ctx, statement, collection, id, keyOf(id)); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM decision_counts WHERE records = 0")
	return err
}
