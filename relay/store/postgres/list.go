// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// Cursor implements store.Objects.
func (s *Store) Cursor(ctx context.Context, collection string) (string, error) {
	var cursor []byte
	err := s.look(ctx, s.bulk, "reading cursor", func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT c.cursor FROM words w JOIN collections c ON c.collection = w.id WHERE w.word = $1`, collection).Scan(&cursor)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return string(cursor), err
}

// ListObjects implements store.Objects.
func (s *Store) ListObjects(ctx context.Context, collection string, q store.Query) (store.Page, error) {
	if err := checkQuery(q, 1); err != nil {
		return store.Page{}, fmt.Errorf("listing objects: %w", err)
	}
	var page store.Page
	err := s.look(ctx, s.bulk, "listing objects", func(ctx context.Context, tx pgx.Tx) error {
		c, err := s.selectObjects(ctx, tx, collection, q)
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
func (s *Store) selectObjects(ctx context.Context, tx pgx.Tx, collection string, q store.Query) (*selection, error) {
	words, err := s.find(ctx, tx, collection)
	id, ok := words[collection]
	if err != nil || !ok {
		return nil, err
	}
	end, err := walkEnd(ctx, tx, q, "SELECT seq FROM objects WHERE collection = ? AND seq > ? ORDER BY seq", id, after(q))
	if err != nil {
		return nil, err
	}
	c := &selection{end: end, content: !q.NoContent}
	c.add("SELECT o.seq, o.seq AS position, o.stix_id, o.version, t.word AS type, o.spec, ?::text AS collection, '' AS form", collection)
	c.add(content(q) + " FROM objects o CROSS JOIN words t WHERE t.id = o.type")
	c.add(" AND o.collection = ? AND o.seq > ?", id, after(q))
	if len(q.IDs) > 0 {
		c.add(" AND o.stix_id = ANY (?)", q.IDs)
	}
	if len(q.Types) > 0 {
		types, err := s.findIDs(ctx, tx, q.Types)
		if err != nil || len(types) == 0 {
			return nil, err
		}
		c.add(" AND o.type = ANY (?)", types)
	}
	siblings{
		position: "o.seq", theirs: "n.seq",
		from: "objects n WHERE n.collection = o.collection AND n.stix_id = o.stix_id",
	}.narrow(&c.clause, q)
	if end != 0 {
		c.add(" AND o.seq <= ?", end)
	}
	c.order("o.seq", q)
	return c, nil
}

// content are the columns with the object and its size, where they are wanted.
func content(q store.Query) string {
	if q.NoContent {
		return ""
	}
	return ", octet_length(o.raw) AS size, o.raw"
}

// CountObjects implements store.Objects.
func (s *Store) CountObjects(ctx context.Context, collections ...string) (int64, error) {
	var total int64
	err := s.look(ctx, s.bulk, "counting objects", func(ctx context.Context, tx pgx.Tx) error {
		ids, err := s.findIDs(ctx, tx, collections)
		if err != nil {
			return err
		}
		total, err = countStored(ctx, tx, ids)
		return err
	})
	return total, err
}

// countStored sums up collections by their words.
func countStored(ctx context.Context, tx pgx.Tx, collections []int32) (int64, error) {
	var total int64
	err := tx.QueryRow(ctx, "SELECT coalesce(sum(objects), 0)::bigint FROM collections WHERE collection = ANY ($1)", collections).Scan(&total)
	return total, err
}
