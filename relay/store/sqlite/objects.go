// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// Cursor implements store.Objects.
func (s *Store) Cursor(ctx context.Context, collection string) (string, error) {
	var cursor string
	err := s.look(ctx, "reading cursor", func(tx *transaction) error {
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
	err := s.look(ctx, "listing objects", func(tx *transaction) error {
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
func selectObjects(ctx context.Context, tx *transaction, collection string, q store.Query) (*selection, error) {
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
	c.add("SELECT o.seq, o.seq, o.stix_id, o.version, o.type, o.spec, " + content(q) + ", o.collection, 0 FROM objects o INDEXED BY ")
	if len(q.IDs) > 0 {
		c.add("objects_by_key")
	} else {
		c.add("objects_by_position")
	}
	c.add(" WHERE o.collection = ? AND o.seq > ?", id, after(q))
	if len(q.IDs) > 0 {
		in(c, "o.key", keysOf(q.IDs))
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
		from: "objects n INDEXED BY objects_by_key WHERE n.key = o.key AND n.collection = o.collection AND n.stix_id = o.stix_id",
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
	err := s.look(ctx, "counting objects", func(tx *transaction) error {
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
func countStored(ctx context.Context, tx *transaction, collections []int64) (int64, error) {
	var c clause
	c.add("SELECT coalesce(sum(objects), 0) FROM collections WHERE 1")
	in(&c, "collection", collections)
	var total int64
	err := tx.QueryRowContext(ctx, c.text.String(), c.args...).Scan(&total)
	return total, err
}
