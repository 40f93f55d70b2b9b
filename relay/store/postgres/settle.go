// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// SettleQuarantined implements store.Quarantine. One transaction: the record of the
// collection and the item change together, or not at all.
func (s *Store) SettleQuarantined(ctx context.Context, collection string, seq int64, state store.ItemState, by string) (store.Quarantined, error) {
	const doing = "settling a quarantined object"
	by = storable(by)
	if state != store.Accepted && state != store.Dropped || by == "" || len(by) > store.MaxSettledBy {
		return store.Quarantined{}, fmt.Errorf("%s: it takes accepted or dropped, and a name of 1 to %d bytes", doing, store.MaxSettledBy)
	}
	words, err := s.learn(ctx, doing, collection)
	if err != nil {
		return store.Quarantined{}, err
	}
	var item store.Quarantined
	err = s.changeFeeds(ctx, doing, func(ctx context.Context, tx pgx.Tx) error {
		id := words[collection]
		// First the clock's row, as everywhere, then that of the quarantine.
		if _, err := s.tick(ctx, tx, 0); err != nil {
			return err
		}
		if _, err := holdQuarantine(ctx, tx, id); err != nil {
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
		if _, err := tx.Exec(ctx, "UPDATE quarantine SET state = $1, settled_at = $2, settled_by = $3, raw = $4 WHERE seq = $5",
			int32(state), micros(item.SettledAt), by, replaced, seq); err != nil { //nolint:gosec // one of two
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
func heldItem(ctx context.Context, tx pgx.Tx, collection int32, seq int64) (store.Quarantined, error) {
	var c clause
	c.add("SELECT "+itemColumns+", octet_length(raw) AS size, raw FROM quarantine WHERE collection = ? AND seq = ?", collection, seq)
	page, err := readQuarantine(ctx, tx, &c, 1, false)
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
func (s *Store) replaceObject(ctx context.Context, tx pgx.Tx, collection string, id int32, o store.Object) ([]byte, error) {
	replaced := []byte{}
	var old store.Record
	err := tx.QueryRow(ctx, "SELECT seq, raw FROM objects WHERE collection = $1 AND stix_id = $2 AND version = $3 AND spec IN "+allSpecs,
		id, o.ID, versionMicros(o.Version)).Scan(&old.Seq, &replaced)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	if err == nil {
		if err := s.deleteRecords(ctx, tx, collection, []store.Record{old}); err != nil {
			return nil, err
		}
	}
	// Nothing remembers the number of a word before this transaction is committed: the next one may not find it.
	var typ int32
	if err := tx.QueryRow(ctx, `INSERT INTO words (word) VALUES ($1) ON CONFLICT (word) DO UPDATE SET word = excluded.word RETURNING id`, o.Type).Scan(&typ); err != nil {
		return nil, err
	}
	_, err = s.put(ctx, tx, id, map[string]int32{o.Type: typ}, []store.Object{o}, "")
	return replaced, err
}

// afterSettling takes an item out of the sums, and forgets the oldest settled ones.
func afterSettling(ctx context.Context, tx pgx.Tx, collection int32, size int64) error {
	if _, err := tx.Exec(ctx, "UPDATE quarantine_sums SET held = held - 1, bytes = bytes - $1 WHERE collection = $2", size, collection); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM quarantine q USING (SELECT seq FROM quarantine WHERE collection = $1 AND state > 0
		ORDER BY seq DESC OFFSET $2) o WHERE q.seq = o.seq`, collection, store.MaxSettled)
	return err
}

// NoteRevocations implements store.Revocations.
func (s *Store) NoteRevocations(ctx context.Context, collection string, since map[string]time.Time) error {
	const doing = "storing revocations"
	if len(since) > store.MaxRecords {
		return fmt.Errorf("%s: %d at once are more than %d", doing, len(since), store.MaxRecords)
	}
	if len(since) == 0 {
		return nil
	}
	words, err := s.learn(ctx, doing, collection)
	if err != nil {
		return err
	}
	ids, versions := make([]string, 0, len(since)), make([]int64, 0, len(since))
	for id, version := range since {
		ids, versions = append(ids, id), append(versions, versionMicros(version))
	}
	return s.changeFeeds(ctx, doing, func(ctx context.Context, tx pgx.Tx) error {
		// In the order of the ids, so that two replicas lock rows in the same order.
		_, err := tx.Exec(ctx, `INSERT INTO revocations AS r (collection, stix_id, since) SELECT $1, id, since FROM unnest($2::text[], $3::bigint[]) u (id, since) ORDER BY id
			ON CONFLICT (collection, stix_id) DO UPDATE SET since = least(r.since, excluded.since), gone = 0`, words[collection], ids, versions)
		return err
	})
}

// Revoked implements store.Revocations.
func (s *Store) Revoked(ctx context.Context, collection string, ids []string) (map[string]time.Time, error) {
	if len(ids) > store.MaxRecords {
		return nil, fmt.Errorf("reading revocations: %d at once are more than %d", len(ids), store.MaxRecords)
	}
	since := map[string]time.Time{}
	err := s.look(ctx, s.bulk, "reading revocations", func(ctx context.Context, tx pgx.Tx) error {
		words, err := s.find(ctx, tx, collection)
		id, ok := words[collection]
		if err != nil || !ok {
			return err
		}
		// Most collections have none.
		var some bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM revocations WHERE collection = $1)", id).Scan(&some); err != nil || !some {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT r.stix_id, r.since FROM unnest($2::text[]) u (id) CROSS JOIN revocations r WHERE r.collection = $1 AND r.stix_id = u.id", id, ids)
		if err != nil {
			return err
		}
		var object string
		var version int64
		_, err = pgx.ForEachRow(rows, []any{&object, &version}, func() error { since[object] = versionTime(version); return nil })
		return err
	})
	return since, err
}
