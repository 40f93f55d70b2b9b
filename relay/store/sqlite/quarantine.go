// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// PutQuarantined implements store.Quarantine. One transaction: a crash leaves all of
// it or nothing.
func (s *Store) PutQuarantined(ctx context.Context, collection string, items []store.Quarantined) error {
	if len(items) > store.MaxRecords {
		return fmt.Errorf("storing in quarantine: %d at once are more than %d", len(items), store.MaxRecords)
	}
	var size int64
	for _, item := range items {
		size += int64(len(item.Raw)) + objectWrite
	}
	if err := s.keepReserve(1, size); err != nil {
		return fmt.Errorf("storing in quarantine: %w", err)
	}
	return s.change(ctx, feed, "storing in quarantine", func(tx *transaction) error {
		id, err := newVocabulary(tx).id(ctx, collection)
		if err != nil {
			return err
		}
		counts, err := quarantineCounts(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := putQuarantined(ctx, tx, id, item, &counts); err != nil {
				return err
			}
		}
		return saveQuarantineCounts(ctx, tx, id, counts)
	})
}

// putQuarantined stores one item, if there is room and it is not there.
func putQuarantined(ctx context.Context, tx *transaction, collection int64, item store.Quarantined, counts *store.QuarantineCounts) error {
	digest := sha256.Sum256(item.Raw)
	version := versionMicros(item.Version)
	var known int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM quarantine WHERE collection = ? AND stix_id = ? AND version = ? AND reason = ? AND digest = ?",
		collection, item.ID, version, item.Reason, digest[:]).Scan(&known)
	if err != nil || known > 0 {
		return err
	}
	size := int64(len(item.Raw))
	if counts.Held >= store.MaxQuarantined || counts.Bytes+size > store.MaxQuarantinedBytes {
		counts.Overflow++
		return nil
	}
	counts.Held++
	counts.Bytes += size
	_, err = tx.ExecContext(ctx, `INSERT INTO quarantine (collection, stix_id, version, type, spec, reason, digest, raw, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		collection, item.ID, version, item.Type, item.SpecVersion, item.Reason, digest[:], append([]byte{}, item.Raw...), micros(item.At))
	return err
}

func quarantineCounts(ctx context.Context, tx *transaction, collection int64) (store.QuarantineCounts, error) {
	var c store.QuarantineCounts
	err := tx.QueryRowContext(ctx, "SELECT held, bytes, overflow FROM quarantine_sums WHERE collection = ?", collection).
		Scan(&c.Held, &c.Bytes, &c.Overflow)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return c, err
}

func saveQuarantineCounts(ctx context.Context, tx *transaction, collection int64, c store.QuarantineCounts) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO quarantine_sums (collection, held, bytes, overflow) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (collection) DO UPDATE SET held = ?2, bytes = ?3, overflow = ?4`, collection, c.Held, c.Bytes, c.Overflow)
	return err
}

// CountQuarantined implements store.Quarantine.
func (s *Store) CountQuarantined(ctx context.Context, collection string) (store.QuarantineCounts, error) {
	var counts store.QuarantineCounts
	err := s.look(ctx, "counting the quarantine", func(tx *transaction) error {
		id, err := wordID(ctx, tx, collection)
		if err != nil || id == 0 {
			return err
		}
		counts, err = quarantineCounts(ctx, tx, id)
		return err
	})
	return counts, err
}

const quarantineColumns = "SELECT seq, stix_id, version, type, spec, reason, at, state, settled_at, settled_by, "

// ListQuarantined implements store.Quarantine.
func (s *Store) ListQuarantined(ctx context.Context, q store.QuarantineQuery) (store.QuarantinePage, error) {
	if err := checkLimit(q.Limit, store.MaxRecords); err != nil {
		return store.QuarantinePage{}, fmt.Errorf("listing the quarantine: %w", err)
	}
	var page store.QuarantinePage
	err := s.look(ctx, "listing the quarantine", func(tx *transaction) error {
		id, err := wordID(ctx, tx, q.Collection)
		if err != nil || id == 0 {
			return err
		}
		var c clause
		raw := "raw"
		if q.NoContent {
			raw = "NULL"
		}
		c.add(quarantineColumns+raw+" FROM quarantine WHERE collection = ? AND seq > ?", id, q.After)
		if q.ID != "" {
			c.add(" AND stix_id = ?", q.ID)
		}
		if !q.Settled {
			c.add(" AND state = 0")
		}
		c.add(" ORDER BY seq LIMIT ?", q.Limit+1)
		page, err = readQuarantine(ctx, tx, &c, q.Limit)
		return err
	})
	return page, err
}

// readQuarantine reads items until limit, or until they fill a page.
func readQuarantine(ctx context.Context, tx *transaction, c *clause, limit int) (page store.QuarantinePage, err error) {
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return store.QuarantinePage{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	for rows.Next() {
		if n := len(page.Items); n == limit || size >= store.MaxPageBytes {
			page.Next = page.Items[n-1].Seq
			return page, nil
		}
		var item store.Quarantined
		var version, at, settled int64
		if err := rows.Scan(&item.Seq, &item.ID, &version, &item.Type, &item.SpecVersion, &item.Reason, &at,
			&item.State, &settled, &item.SettledBy, &item.Raw); err != nil {
			return store.QuarantinePage{}, err
		}
		item.Version, item.At, item.SettledAt = versionTime(version), instant(at), instant(settled)
		size += len(item.Raw)
		page.Items = append(page.Items, item)
	}
	return page, rows.Err()
}
