// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// PutQuarantined implements store.Quarantine. One transaction: a crash leaves all of
// it or nothing.
func (s *Store) PutQuarantined(ctx context.Context, collection string, items []store.Quarantined) error {
	const doing = "storing in quarantine"
	if len(items) > store.MaxRecords {
		return fmt.Errorf("%s: %d at once are more than %d", doing, len(items), store.MaxRecords)
	}
	if len(items) == 0 {
		return nil
	}
	words, err := s.learn(ctx, doing, collection)
	if err != nil {
		return err
	}
	return s.change(ctx, s.bulk, doing, func(ctx context.Context, tx pgx.Tx) error {
		id := words[collection]
		counts, err := holdQuarantine(ctx, tx, id)
		if err != nil {
			return err
		}
		fresh, err := unknownItems(ctx, tx, id, items)
		if err != nil {
			return err
		}
		kept := fresh[:0]
		for _, item := range fresh {
			size := int64(len(item.Raw))
			if counts.Held >= store.MaxQuarantined || counts.Bytes+size > store.MaxQuarantinedBytes {
				counts.Overflow++
				continue
			}
			counts.Held++
			counts.Bytes += size
			kept = append(kept, item)
		}
		if err := copyItems(ctx, tx, id, kept); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE quarantine_sums SET held = $2, bytes = $3, overflow = $4 WHERE collection = $1", id, counts.Held, counts.Bytes, counts.Overflow)
		return err
	})
}

// digested is an item with the hash of its content.
type digested struct {
	store.Quarantined
	digest [sha256.Size]byte
}

// holdQuarantine locks the quarantine of a collection, and returns its sums.
func holdQuarantine(ctx context.Context, tx pgx.Tx, collection int32) (store.QuarantineCounts, error) {
	if _, err := tx.Exec(ctx, "INSERT INTO quarantine_sums (collection) VALUES ($1) ON CONFLICT DO NOTHING", collection); err != nil {
		return store.QuarantineCounts{}, err
	}
	return quarantineCounts(ctx, tx, collection, " FOR UPDATE")
}

func quarantineCounts(ctx context.Context, tx pgx.Tx, collection int32, lock string) (c store.QuarantineCounts, err error) {
	err = tx.QueryRow(ctx, "SELECT held, bytes, overflow FROM quarantine_sums WHERE collection = $1"+lock, collection).Scan(&c.Held, &c.Bytes, &c.Overflow)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return c, err
}

// unknownItems returns the items that are not there yet, each once, in their order.
func unknownItems(ctx context.Context, tx pgx.Tx, collection int32, items []store.Quarantined) ([]digested, error) {
	type key struct {
		id, reason string
		version    int64
		digest     [sha256.Size]byte
	}
	seen := make(map[key]bool, len(items))
	var unique []digested
	var ids, reasons []string
	var versions []int64
	var digests [][]byte
	for _, item := range items {
		d := digested{item, sha256.Sum256(item.Raw)}
		k := key{item.ID, item.Reason, versionMicros(item.Version), d.digest}
		if seen[k] {
			continue
		}
		seen[k] = true
		unique = append(unique, d)
		ids, reasons, versions, digests = append(ids, k.id), append(reasons, k.reason), append(versions, k.version), append(digests, d.digest[:])
	}
	rows, err := tx.Query(ctx, `SELECT u.n FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bytea[]) WITH ORDINALITY u (id, version, reason, digest, n)
		WHERE NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.collection = $1 AND q.stix_id = u.id AND q.version = u.version
			AND q.reason = u.reason AND q.digest = u.digest) ORDER BY u.n`, collection, ids, versions, reasons, digests)
	if err != nil {
		return nil, err
	}
	var fresh []digested
	var n int
	_, err = pgx.ForEachRow(rows, []any{&n}, func() error { fresh = append(fresh, unique[n-1]); return nil })
	return fresh, err
}

func copyItems(ctx context.Context, tx pgx.Tx, collection int32, items []digested) error {
	if len(items) == 0 {
		return nil
	}
	const statement = "COPY quarantine (version, at, collection, stix_id, type, spec, reason, digest, raw) FROM STDIN BINARY"
	return copyIn(ctx, tx, statement, func(w *copyWriter) bool {
		if len(items) == 0 {
			return false
		}
		item := items[0]
		items = items[1:]
		w.row(9)
		w.int64(versionMicros(item.Version))
		w.int64(micros(item.At))
		w.int32(collection)
		for _, text := range []string{item.ID, item.Type, item.SpecVersion, item.Reason} {
			w.text(text)
		}
		w.bytes(item.digest[:])
		w.bytes(item.Raw)
		return true
	})
}

// CountQuarantined implements store.Quarantine.
func (s *Store) CountQuarantined(ctx context.Context, collection string) (store.QuarantineCounts, error) {
	var counts store.QuarantineCounts
	err := s.look(ctx, s.bulk, "counting the quarantine", func(ctx context.Context, tx pgx.Tx) error {
		words, err := s.find(ctx, tx, collection)
		if err != nil {
			return err
		}
		counts, err = quarantineCounts(ctx, tx, words[collection], "")
		return err
	})
	return counts, err
}

// itemColumns are those of an item without its content.
const itemColumns = "seq, stix_id, version, type, spec, reason, at, state, settled_at, settled_by"

// ListQuarantined implements store.Quarantine.
func (s *Store) ListQuarantined(ctx context.Context, q store.QuarantineQuery) (store.QuarantinePage, error) {
	if err := checkLimit(q.Limit, store.MaxRecords); err != nil {
		return store.QuarantinePage{}, fmt.Errorf("listing the quarantine: %w", err)
	}
	var page store.QuarantinePage
	err := s.look(ctx, s.bulk, "listing the quarantine", func(ctx context.Context, tx pgx.Tx) error {
		words, err := s.find(ctx, tx, q.Collection)
		id, ok := words[q.Collection]
		if err != nil || !ok {
			return err
		}
		var c clause
		c.add("SELECT "+itemColumns+", octet_length(raw) AS size, raw FROM quarantine WHERE collection = ? AND seq > ?", id, q.After)
		if q.ID != "" {
			c.add(" AND stix_id = ?", q.ID)
		}
		if !q.Settled {
			c.add(" AND state = 0")
		}
		c.add(" ORDER BY seq LIMIT ?", q.Limit+1)
		page, err = readQuarantine(ctx, tx, &c, q.Limit, q.NoContent)
		return err
	})
	return page, err
}

// readQuarantine reads items until limit, or until they fill a page.
func readQuarantine(ctx context.Context, tx pgx.Tx, c *clause, limit int, bare bool) (page store.QuarantinePage, err error) {
	var item store.Quarantined
	var version, at, settled int64
	into := []any{&item.Seq, &item.ID, &version, &item.Type, &item.SpecVersion, &item.Reason, &at, &item.State, &settled, &item.SettledBy}
	statement := "SELECT " + itemColumns + " FROM (" + c.sql() + ") p ORDER BY seq"
	if !bare {
		statement = fitting(c, "seq", itemColumns, "raw")
		into = append(into, &item.Raw)
	}
	rows, err := tx.Query(ctx, statement, c.args...)
	if err != nil {
		return store.QuarantinePage{}, err
	}
	size := 0
	_, err = pgx.ForEachRow(rows, into, func() error {
		if n := len(page.Items); page.Next == 0 && (n == limit || size >= store.MaxPageBytes) {
			page.Next = page.Items[n-1].Seq
		}
		if page.Next != 0 {
			return nil
		}
		item.Version, item.At, item.SettledAt = versionTime(version), instant(at), instant(settled)
		size += len(item.Raw)
		page.Items = append(page.Items, item)
		item.Raw = nil // the next row gets memory of its own
		return nil
	})
	if err != nil {
		return store.QuarantinePage{}, err
	}
	return page, nil
}
