// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// PutObjects implements store.Objects.
func (s *Store) PutObjects(ctx context.Context, collection string, objects []store.Object, cursor string) ([]store.Outcome, error) {
	if len(objects) > store.MaxRecords {
		return nil, fmt.Errorf("storing objects: %d at once are more than %d", len(objects), store.MaxRecords)
	}
	if err := s.keepReserve(1); err != nil {
		return nil, fmt.Errorf("storing objects: %w", err)
	}
	var outcomes []store.Outcome
	err := s.change(ctx, feed, "storing objects", func(tx *sql.Tx) error {
		p, err := s.newPut(ctx, tx, collection)
		if err != nil {
			return err
		}
		defer p.close()
		outcomes, err = p.run(ctx, objects, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// put is one PutObjects: its statements are prepared once.
type put struct {
	tx         *sql.Tx
	words      *vocabulary
	ticker     *ticker
	collection int64
	insert     *sql.Stmt
	stored     *sql.Stmt
}

func (s *Store) newPut(ctx context.Context, tx *sql.Tx, collection string) (*put, error) {
	p := &put{tx: tx, words: newVocabulary(tx)}
	var err error
	if p.collection, err = p.words.id(ctx, collection); err != nil {
		return nil, err
	}
	if p.ticker, err = s.newTicker(ctx, tx); err != nil {
		return nil, err
	}
	if p.insert, err = tx.PrepareContext(ctx, `INSERT INTO objects (seq, collection, stix_id, version, type, spec, raw, revoked)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (collection, stix_id, version) DO NOTHING`); err != nil {
		return nil, err
	}
	p.stored, err = tx.PrepareContext(ctx, "SELECT raw FROM objects WHERE collection = ? AND stix_id = ? AND version = ?")
	if err != nil {
		return nil, errors.Join(err, p.insert.Close())
	}
	return p, nil
}

func (p *put) close() {
	_, _ = p.insert.Close(), p.stored.Close() // they end with the transaction in any case
}

func (p *put) run(ctx context.Context, objects []store.Object, cursor string) ([]store.Outcome, error) {
	outcomes := make([]store.Outcome, 0, len(objects))
	var added int64
	for _, o := range objects {
		outcome, err := p.one(ctx, o)
		if err != nil {
			return nil, err
		}
		if outcome == store.Added {
			added++
		}
		outcomes = append(outcomes, outcome)
	}
	if err := p.ticker.save(ctx); err != nil {
		return nil, err
	}
	if added == 0 && cursor == "" {
		return outcomes, nil
	}
	_, err := p.tx.ExecContext(ctx, `INSERT INTO collections (collection, objects, cursor) VALUES (?1, ?2, ?3)
		ON CONFLICT (collection) DO UPDATE SET objects = objects + ?2, cursor = iif(?3 = '', cursor, ?3)`,
		p.collection, added, cursor)
	return outcomes, err
}

func (p *put) one(ctx context.Context, o store.Object) (store.Outcome, error) {
	typ, err := p.words.id(ctx, o.Type)
	if err != nil {
		return 0, err
	}
	version := versionMicros(o.Version)
	// STRICT tables refuse NULL; no bytes are an empty blob.
	raw := append([]byte{}, o.Raw...)
	res, err := p.insert.ExecContext(ctx, p.ticker.next(), p.collection, o.ID, version, typ, o.SpecVersion, raw, o.Revoked)
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return store.Added, err
	}
	var stored []byte
	if err := p.stored.QueryRowContext(ctx, p.collection, o.ID, version).Scan(&stored); err != nil {
		return 0, err
	}
	if bytes.Equal(stored, o.Raw) {
		return store.Duplicate, nil
	}
	return store.Forked, nil
}

// Cursor implements store.Objects.
func (s *Store) Cursor(ctx context.Context, collection string) (string, error) {
	var cursor string
	err := s.look(ctx, "reading cursor", func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT c.cursor FROM words w JOIN collections c ON c.collection = w.id
			WHERE w.word = ?`, collection).Scan(&cursor)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return cursor, err
}

// ListObjects implements store.Objects.
func (s *Store) ListObjects(ctx context.Context, collection string, q store.Query) (store.Page, error) {
	if err := checkQuery(q, 1); err != nil {
		return store.Page{}, fmt.Errorf("listing objects: %w", err)
	}
	var page store.Page
	err := s.look(ctx, "listing objects", func(tx *sql.Tx) error {
		c, err := selectObjects(ctx, tx, collection, q)
		if err != nil || c == nil {
			return err
		}
		page, err = c.page(ctx, tx, q.Limit)
		return err
	})
	return page, err
}

// selectObjects makes the statement of a page of a collection. It is nil if
// nothing can match.
func selectObjects(ctx context.Context, tx *sql.Tx, collection string, q store.Query) (*selection, error) {
	id, err := wordID(ctx, tx, collection)
	if err != nil || id == 0 {
		return nil, err
	}
	end, err := walkEnd(ctx, tx, q, `SELECT seq FROM objects INDEXED BY objects_by_position WHERE collection = ? AND seq > ?
		ORDER BY seq`, id, after(q))
	if err != nil {
		return nil, err
	}
	s := &selection{end: end}
	c := &s.clause
	c.add("SELECT o.seq, o.seq, o.stix_id, o.version, t.word, o.spec, "+content(q)+", ?, '' FROM objects o INDEXED BY ", collection)
	if len(q.IDs) > 0 {
		c.add("objects_by_version")
	} else {
		c.add("objects_by_position")
	}
	c.add(" CROSS JOIN words t ON t.id = o.type WHERE o.collection = ? AND o.seq > ?", id, after(q))
	if len(q.IDs) > 0 {
		in(c, "o.stix_id", q.IDs)
	}
	if len(q.Types) > 0 {
		types, err := wordIDs(ctx, tx, q.Types)
		if err != nil || len(types) == 0 {
			return nil, err
		}
		in(c, "o.type", types)
	}
	siblings{
		position: "o.seq", theirs: "n.seq",
		from: "objects n INDEXED BY objects_by_version WHERE n.collection = o.collection AND n.stix_id = o.stix_id",
	}.narrow(c, q)
	if end != 0 {
		c.add(" AND o.seq <= ?", end)
	}
	c.add(" ORDER BY o.seq LIMIT ?", q.Limit+1)
	return s, nil
}

// content is the column with the object, or nothing in its place.
func content(q store.Query) string {
	if q.NoContent {
		return "NULL"
	}
	return "o.raw"
}

// CountObjects implements store.Objects.
func (s *Store) CountObjects(ctx context.Context, collections ...string) (int64, error) {
	var total int64
	err := s.look(ctx, "counting objects", func(tx *sql.Tx) error {
		ids, err := wordIDs(ctx, tx, collections)
		if err != nil {
			return err
		}
		total, err = countStored(ctx, tx, ids)
		return err
	})
	return total, err
}

// countStored sums up collections by their words.
func countStored(ctx context.Context, tx *sql.Tx, collections []int64) (int64, error) {
	var c clause
	c.add("SELECT coalesce(sum(objects), 0) FROM collections WHERE 1")
	in(&c, "collection", collections)
	var total int64
	err := tx.QueryRowContext(ctx, c.text.String(), c.args...).Scan(&total)
	return total, err
}

// readPage runs a query for one row more than limit, with the columns seq,
// position, id, version, type, spec, raw, collection, form.
func readPage(ctx context.Context, tx *sql.Tx, c *clause, limit int) (page store.Page, err error) {
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return store.Page{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	for rows.Next() {
		if len(page.Records) == limit || size >= store.MaxPageBytes {
			page.Next = page.Records[len(page.Records)-1].DateAdded.UnixMicro()
			return page, nil
		}
		var (
			r              store.Record
			added, version int64
		)
		if err := rows.Scan(&r.Seq, &added, &r.ID, &version, &r.Type, &r.SpecVersion, &r.Raw, &r.Collection, &r.Form); err != nil {
			return store.Page{}, err
		}
		r.DateAdded, r.Version = instant(added), versionTime(version)
		size += len(r.Raw)
		page.Records = append(page.Records, r)
	}
	return page, rows.Err()
}
