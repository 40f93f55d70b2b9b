// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// Deletions implements store.Objects.
func (s *Store) Deletions(ctx context.Context, collections ...string) (int64, error) {
	var total int64
	err := s.look(ctx, s.bulk, "counting deletions", func(ctx context.Context, tx pgx.Tx) (err error) {
		total, err = s.deletionsOf(ctx, tx, collections)
		return err
	})
	return total, err
}

func (s *Store) deletionsOf(ctx context.Context, tx pgx.Tx, collections []string) (total int64, err error) {
	ids, err := s.findIDs(ctx, tx, collections)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, "SELECT coalesce(sum(deletions), 0)::bigint FROM collections WHERE collection = ANY ($1)", ids).Scan(&total)
	return total, err
}

// lapseBaseless takes back those of the decisions whose basis does not hold any more. The transaction
// holds the clock's row, as does every one that deletes: nothing is deleted between this look and its end.
func (s *Store) lapseBaseless(ctx context.Context, tx pgx.Tx, decisions []store.Decision) error {
	holds := map[*store.Basis]bool{nil: true}
	var baseless []int64
	for _, d := range decisions {
		if _, known := holds[d.Rests]; !known {
			n, err := s.deletionsOf(ctx, tx, d.Rests.Collections)
			if err != nil {
				return err
			}
			holds[d.Rests] = n == d.Rests.Deletions
		}
		if !holds[d.Rests] {
			baseless = append(baseless, d.Seq)
		}
	}
	if len(baseless) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, "SELECT collection, stix_id FROM objects WHERE seq = ANY ($1)", baseless)
	if err != nil {
		return err
	}
	var collection int32
	var id string
	all := map[int32][]string{}
	if _, err := pgx.ForEachRow(rows, []any{&collection, &id}, func() error { all[collection] = append(all[collection], id); return nil }); err != nil {
		return err
	}
	for _, collection := range slices.Sorted(maps.Keys(all)) {
		if err := s.lapse(ctx, tx, collection, all[collection]); err != nil {
			return err
		}
	}
	return nil
}

// forgetGone lets go of what was kept because of objects of which no version is left: what
// they refer to, and that they are revoked once very many others went later.
func forgetGone(ctx context.Context, tx pgx.Tx, collection string, records []store.Record, now int64) error {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	rows, err := tx.Query(ctx, `SELECT DISTINCT u.id FROM unnest($1::text[]) u (id) CROSS JOIN words w WHERE w.word = $2
		AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.collection = w.id AND o.stix_id = u.id) ORDER BY u.id`, ids, collection)
	if err != nil {
		return err
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(gone) == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM object_references r USING words w WHERE w.word = $2 AND r.collection = w.id AND r.from_id = ANY ($1)",
		gone, collection); err != nil {
		return err
	}
	done, err := tx.Exec(ctx, "UPDATE revocations r SET gone = $3 FROM words w WHERE w.word = $2 AND r.collection = w.id AND r.stix_id = ANY ($1)",
		gone, collection, now)
	if err != nil || done.RowsAffected() == 0 {
		return err
	}
	return pruneRevocations(ctx, tx, collection)
}

// pruneRevocations keeps, of the objects that are gone, the newest revocations.
func pruneRevocations(ctx context.Context, tx pgx.Tx, collection string) error {
	const old = `r.collection = (SELECT id FROM words WHERE word = $1) AND r.gone > 0 AND (r.gone, r.stix_id) <= (SELECT n.gone, n.stix_id FROM revocations n
		WHERE n.collection = (SELECT id FROM words WHERE word = $1) AND n.gone > 0 ORDER BY n.gone DESC, n.stix_id DESC OFFSET $2 LIMIT 1)`
	for _, statement := range []string{
		// An object may have come back in a version from before its revocation.
		"UPDATE revocations r SET gone = 0 WHERE " + old + " AND EXISTS (SELECT 1 FROM objects o WHERE o.collection = r.collection AND o.stix_id = r.stix_id)",
		"DELETE FROM revocations r WHERE " + old,
	} {
		if _, err := tx.Exec(ctx, statement, collection, store.MaxGoneRevocations); err != nil {
			return err
		}
	}
	return nil
}
