// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// lapsed stands for the rule of a decision that was taken back, which matches no word.
const lapsed int32 = -1

// holdViews locks all views, in one order: nothing is handed out meanwhile.
func holdViews(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SELECT 1 FROM views ORDER BY id FOR UPDATE")
	return err
}

// withdraw notes that the peer must drop records that it was handed.
func (d *deciding) withdraw(ctx context.Context) error {
	if len(d.withdrawals) == 0 {
		return nil
	}
	var seqs, positions []int64
	for _, w := range d.withdrawals {
		seqs, positions = append(seqs, w.seq), append(positions, w.pos)
	}
	_, err := d.tx.Exec(ctx, `INSERT INTO withdrawals (view, pos, stix_id, version) SELECT $1, u.pos, o.stix_id, o.version
		FROM unnest($2::bigint[], $3::bigint[]) u (seq, pos) CROSS JOIN objects o WHERE o.seq = u.seq`, d.view, seqs, positions)
	return err
}

// takeBack notes for all views that records go away.
func (s *Store) takeBack(ctx context.Context, tx pgx.Tx, seqs []int64) error {
	if err := holdViews(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE views v SET takings = v.takings + s.n FROM
		(SELECT d.view, count(*) AS n FROM views w CROSS JOIN decisions d WHERE d.view = w.id AND d.seq = ANY ($1) AND d.share GROUP BY d.view) s
		WHERE v.id = s.view`, seqs); err != nil {
		return err
	}
	const handed = `FROM views v CROSS JOIN decisions d CROSS JOIN objects o
		WHERE d.view = v.id AND d.seq = ANY ($1) AND d.share AND d.added <= v.handed_to AND o.seq = d.seq`
	var n int
	if err := tx.QueryRow(ctx, "SELECT count(*) "+handed, seqs).Scan(&n); err != nil || n == 0 {
		return err
	}
	first, err := s.tick(ctx, tx, n)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO withdrawals (view, pos, stix_id, version) SELECT v.id, $2 + row_number() OVER (ORDER BY d.seq, v.id) - 1, o.stix_id, o.version "+handed,
		seqs, first)
	return err
}

// Withdrawals implements store.Outgoing.
func (s *Store) Withdrawals(ctx context.Context, feed, peer string, limit int) ([]store.Withdrawal, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return nil, fmt.Errorf("listing withdrawals: %w", err)
	}
	var found []store.Withdrawal
	err := s.look(ctx, s.bulk, "listing withdrawals", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT w.pos, w.stix_id, w.version FROM views v CROSS JOIN withdrawals w WHERE w.view = v.id
			AND v.feed = $1 AND v.peer = $2 ORDER BY w.pos LIMIT $3`, feed, peer, limit)
		if err != nil {
			return err
		}
		var w store.Withdrawal
		var version int64
		_, err = pgx.ForEachRow(rows, []any{&w.Position, &w.ID, &version}, func() error {
			w.Version = versionTime(version)
			found = append(found, w)
			return nil
		})
		return err
	})
	return found, err
}

// ClearWithdrawals implements store.Outgoing.
func (s *Store) ClearWithdrawals(ctx context.Context, feed, peer string, upTo int64) error {
	return s.change(ctx, s.bulk, "clearing withdrawals", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM withdrawals WHERE view = (SELECT id FROM views WHERE feed = $1 AND peer = $2) AND pos <= $3", feed, peer, upTo)
		return err
	})
}

// lapseAtOnce is of how many objects at most the decisions lapse in one transaction: all views are locked meanwhile, and
// nothing is handed out.
const lapseAtOnce = 500

// Lapse implements store.Outgoing: in steps, each a transaction. A crash between two of them leaves some taken back.
func (s *Store) Lapse(ctx context.Context, collection string, ids []string) error {
	if len(ids) > store.MaxRecords {
		return fmt.Errorf("lapsing decisions: %d at once are more than %d", len(ids), store.MaxRecords)
	}
	for part := range slices.Chunk(ids, lapseAtOnce) {
		if err := s.changeFeeds(ctx, "lapsing decisions", func(ctx context.Context, tx pgx.Tx) error {
			words, err := s.find(ctx, tx, collection)
			number, ok := words[collection]
			if err != nil || !ok {
				return err
			}
			if _, err := s.tick(ctx, tx, 0); err != nil {
				return err
			}
			return s.lapse(ctx, tx, number, part)
		}); err != nil {
			return err
		}
	}
	return nil
}

// lapse takes back all decisions about the records of objects. Their places stay.
func (s *Store) lapse(ctx context.Context, tx pgx.Tx, collection int32, ids []string) error {
	if err := holdViews(ctx, tx); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT d.view, d.seq FROM objects o CROSS JOIN views v CROSS JOIN decisions d
		WHERE o.collection = $1 AND o.stix_id = ANY ($2) AND d.view = v.id AND d.seq = o.seq AND d.rule <> $3`, collection, ids, lapsed)
	if err != nil {
		return err
	}
	var views []int32
	var seqs []int64
	var view int32
	var seq int64
	if _, err := pgx.ForEachRow(rows, []any{&view, &seq}, func() error { views, seqs = append(views, view), append(seqs, seq); return nil }); err != nil {
		return err
	}
	if len(seqs) == 0 {
		return nil
	}
	const which = "FROM unnest($1::int[], $2::bigint[]) u (view, seq) CROSS JOIN decisions d WHERE d.view = u.view AND d.seq = u.seq"
	for _, statement := range []string{
		`INSERT INTO decision_counts AS c (view, collection, rule, share, reason, records)
			SELECT d.view, d.collection, -1, d.share, d.reason, count(*) ` + which + ` GROUP BY 1, 2, 3, 4, 5
			ON CONFLICT (view, collection, rule, share, reason) DO UPDATE SET records = c.records + excluded.records`,
		`INSERT INTO decision_counts AS c (view, collection, rule, share, reason, records)
			SELECT d.view, d.collection, d.rule, d.share, d.reason, -count(*) ` + which + ` GROUP BY 1, 2, 3, 4, 5
			ON CONFLICT (view, collection, rule, share, reason) DO UPDATE SET records = c.records + excluded.records`,
		"UPDATE decisions d SET rule = -1, until = 1 FROM unnest($1::int[], $2::bigint[]) u (view, seq) WHERE d.view = u.view AND d.seq = u.seq",
	} {
		if _, err := tx.Exec(ctx, statement, views, seqs); err != nil {
			return err
		}
	}
	noteObjects(ctx)
	_, err = tx.Exec(ctx, "DELETE FROM decision_counts WHERE records = 0")
	return err
}
