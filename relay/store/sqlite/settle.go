// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// SettleQuarantined implements store.Quarantine. One transaction: the record of the
// collection and the item change together, or not at all.
func (s *Store) SettleQuarantined(ctx context.Context, collection string, seq int64, state store.ItemState, by string) (store.Quarantined, error) {
	if state != store.Accepted && state != store.Dropped || by == "" || len(by) > store.MaxSettledBy {
		return store.Quarantined{}, fmt.Errorf("settling a quarantined object: it takes accepted or dropped, and a name of 1 to %d bytes", store.MaxSettledBy)
	}
	var item store.Quarantined
	err := s.change(ctx, feed, "settling a quarantined object", func(tx *transaction) error {
		id, err := wordID(ctx, tx, collection)
		if err != nil {
			return err
		}
		if item, err = heldItem(ctx, tx, id, seq); err != nil {
			return err
		}
		size := int64(len(item.Raw))
		replaced := []byte{}
		if state == store.Accepted {
			if replaced, err = s.replaceObject(ctx, tx, collection, id, item.Object); err != nil {
				return err
			}
		}
		item.State, item.SettledBy, item.SettledAt = state, by, s.now().UTC().Truncate(time.Microsecond)
		if item.Raw = nil; len(replaced) > 0 {
			item.Raw = replaced
		}
		if _, err := tx.ExecContext(ctx, "UPDATE quarantine SET state = ?, settled_at = ?, settled_by = ?, raw = ? WHERE seq = ?",
			state, micros(item.SettledAt), by, replaced, seq); err != nil {
			return err
		}
		return afterSettling(ctx, tx, id, size)
	})
	if err != nil {
		return store.Quarantined{}, err
	}
	return item, nil
}

// heldItem reads an item that is held, with its content.
func heldItem(ctx context.Context, tx *transaction, collection, seq int64) (store.Quarantined, error) {
	var c clause
	c.add(quarantineColumns+"raw FROM quarantine WHERE collection = ? AND seq = ?", collection, seq)
	page, err := readQuarantine(ctx, tx, &c, 1)
	switch {
	case err != nil:
		return store.Quarantined{}, err
	case len(page.Items) == 0:
		return store.Quarantined{}, store.ErrNotFound
	case page.Items[0].State != store.Held:
		return store.Quarantined{}, fmt.Errorf("%w: it is settled", store.ErrConflict)
	}
	return page.Items[0], nil
}

// replaceObject makes an object a new record of its collection, and returns the
// content of the one that it replaced, if there was one.
func (s *Store) replaceObject(ctx context.Context, tx *transaction, collection string, id int64, o store.Object) ([]byte, error) {
	replaced := []byte{}
	var old store.Record
	err := tx.QueryRowContext(ctx, "SELECT seq, raw FROM objects"+ofVersion,
		keyOf(o.ID), id, o.ID, versionMicros(o.Version)).Scan(&old.Seq, &replaced)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if err == nil {
		if err := s.deleteRecords(ctx, tx, collection, []store.Record{old}); err != nil {
			return nil, err
		}
	}
	p, err := s.newPut(ctx, tx, collection)
	if err != nil {
		return nil, err
	}
	_, err = p.run(ctx, []store.Object{o}, "")
	return replaced, err
}

// afterSettling takes an item out of the sums, and forgets the oldest settled ones.
func afterSettling(ctx context.Context, tx *transaction, collection, size int64) error {
	if _, err := tx.ExecContext(ctx, "UPDATE quarantine_sums SET held = held - 1, bytes = bytes - ? WHERE collection = ?", size, collection); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM quarantine WHERE seq IN (SELECT seq FROM quarantine WHERE collection = ? AND state > 0
		ORDER BY seq DESC LIMIT -1 OFFSET ?)`, collection, store.MaxSettled)
	return err
}

// NoteRevocations implements store.Revocations.
func (s *Store) NoteRevocations(ctx context.Context, collection string, since map[string]time.Time) error {
	if len(since) > store.MaxRecords {
		return fmt.Errorf("storing revocations: %d at once are more than %d", len(since), store.MaxRecords)
	}
	return s.change(ctx, feed, "storing revocations", func(tx *transaction) error {
		id, err := newVocabulary(tx).id(ctx, collection)
		if err != nil {
			return err
		}
		for object, version := range since {
			if _, err := tx.ExecContext(ctx, `INSERT INTO revocations (collection, stix_id, since) VALUES (?, ?, ?)
				ON CONFLICT (collection, stix_id) DO UPDATE SET since = min(since, excluded.since), gone = 0`, id, object, versionMicros(version)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Revoked implements store.Revocations.
func (s *Store) Revoked(ctx context.Context, collection string, ids []string) (map[string]time.Time, error) {
	if len(ids) > store.MaxRecords {
		return nil, fmt.Errorf("reading revocations: %d at once are more than %d", len(ids), store.MaxRecords)
	}
	since := map[string]time.Time{}
	err := s.look(ctx, "reading revocations", func(tx *transaction) error {
		id, err := wordID(ctx, tx, collection)
		if err != nil || id == 0 {
			return err
		}
		// Most collections have none.
		var one int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM revocations WHERE collection = ? LIMIT 1)", id).Scan(&one); err != nil || one == 0 {
			return err
		}
		for part := range slices.Chunk(ids, revokedAtOnce) {
			if err := readRevoked(ctx, tx, id, part, since); err != nil {
				return err
			}
		}
		return nil
	})
	return since, err
}

// revokedAtOnce is the number of objects that one statement asks for.
const revokedAtOnce = 500

func readRevoked(ctx context.Context, tx *transaction, collection int64, ids []string, since map[string]time.Time) (err error) {
	var c clause
	c.add("SELECT stix_id, since FROM revocations WHERE collection = ?", collection)
	in(&c, "stix_id", ids)
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		var version int64
		if err := rows.Scan(&id, &version); err != nil {
			return err
		}
		since[id] = versionTime(version)
	}
	return rows.Err()
}
