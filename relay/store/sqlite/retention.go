// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"

	"github.com/certlink/certlink/relay/store"
)

// Deletions implements store.Objects.
func (s *Store) Deletions(ctx context.Context, collections ...string) (int64, error) {
	var total int64
	err := s.look(ctx, "counting deletions", func(tx *transaction) (err error) {
		total, err = deletionsOf(ctx, tx, collections)
		return err
	})
	return total, err
}

func deletionsOf(ctx context.Context, tx *transaction, collections []string) (total int64, err error) {
	ids, err := wordIDs(ctx, tx, collections)
	if err != nil {
		return 0, err
	}
	var c clause
	c.add("SELECT coalesce(sum(deletions), 0) FROM collections WHERE 1")
	in(&c, "collection", ids)
	err = tx.QueryRowContext(ctx, c.text.String(), c.args...).Scan(&total)
	return total, err
}

// lapseBaseless takes back those of the decisions whose basis does not hold any more.
func lapseBaseless(ctx context.Context, tx *transaction, decisions []store.Decision) error {
	holds := map[*store.Basis]bool{nil: true}
	for _, d := range decisions {
		if _, known := holds[d.Rests]; !known {
			n, err := deletionsOf(ctx, tx, d.Rests.Collections)
			if err != nil {
				return err
			}
			holds[d.Rests] = n == d.Rests.Deletions
		}
		if holds[d.Rests] {
			continue
		}
		var collection int64
		var id string
		if err := tx.QueryRowContext(ctx, "SELECT collection, stix_id FROM objects WHERE seq = ?", d.Seq).Scan(&collection, &id); err != nil {
			return err
		}
		if err := lapse(ctx, tx, collection, id); err != nil {
			return err
		}
	}
	return nil
}

// forgetGone lets go of what was kept because of objects of which no version is left: what
// they refer to, and that they are revoked once very many others went later.
func forgetGone(ctx context.Context, tx *transaction, collection string, records []store.Record, now int64) error {
	id, err := wordID(ctx, tx, collection)
	if err != nil || id == 0 {
		return err
	}
	seen, some := map[string]bool{}, false
	for _, r := range records {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		var left bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM objects INDEXED BY objects_by_key WHERE key = ? AND collection = ? AND stix_id = ?)",
			keyOf(r.ID), id, r.ID).Scan(&left); err != nil {
			return err
		}
		if left {
			continue
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM object_references WHERE collection = ? AND from_id = ?", id, r.ID); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, "UPDATE revocations SET gone = ? WHERE collection = ? AND stix_id = ?", now, id, r.ID)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil {
			return err
		}
		some = some || n > 0
	}
	if !some {
		return nil
	}
	return pruneRevocations(ctx, tx, id)
}

// pruneRevocations keeps, of the objects that are gone, the newest revocations.
func pruneRevocations(ctx context.Context, tx *transaction, collection int64) error {
	const old = `SELECT stix_id FROM revocations INDEXED BY revocations_gone WHERE collection = ?1 AND gone > 0
		ORDER BY gone DESC, stix_id DESC LIMIT -1 OFFSET ?2`
	for _, statement := range []string{
		// An object may have come back in a version from before its revocation.
		`UPDATE revocations SET gone = 0 WHERE collection = ?1 AND stix_id IN (` + old + `) AND EXISTS (SELECT 1 FROM objects o
			INDEXED BY objects_by_key WHERE o.key = certlink_key(revocations.stix_id) AND o.collection = ?1 AND o.stix_id = revocations.stix_id)`,
		"DELETE FROM revocations WHERE collection = ?1 AND stix_id IN (" + old + ")",
	} {
		if _, err := tx.ExecContext(ctx, statement, collection, store.MaxGoneRevocations); err != nil {
			return err
		}
	}
	return nil
}
