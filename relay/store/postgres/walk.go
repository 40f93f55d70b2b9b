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

// maxWalk is the number of records that one page looks at. A page that selects
// few of many ends there, so that no question holds a reader for long.
const maxWalk = store.MaxRecords

// selection is the statement of a page, with the columns seq, position, id,
// version, type, spec, collection, form and, with content, size and raw.
type selection struct {
	clause
	content bool
	// end is the position of the last record that the page looks at, if others
	// follow; else 0.
	end int64
}

// walkEnd finds where a page that selects must end: positions is a statement that
// lists the positions that it would go along.
func walkEnd(ctx context.Context, tx pgx.Tx, q store.Query, positions string, args ...any) (int64, error) {
	selects := len(q.Types) > 0 || len(q.Specs) > 0 || q.NewestSpec || !q.Versions.All()
	if !selects || len(q.IDs) > 0 {
		return 0, nil
	}
	var c clause
	c.add(positions+" LIMIT 1 OFFSET ?", append(args, maxWalk-1)...)
	var end int64
	err := tx.QueryRow(ctx, c.sql(), c.args...).Scan(&end)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return end, err
}

// order ends the statement: along the positions, one more than the page may have.
func (s *selection) order(position string, q store.Query) {
	s.add(" ORDER BY "+position+" LIMIT ?", q.Limit+1)
}

// page reads the page. If it is not full it goes on where the walk has ended.
func (s *selection) page(ctx context.Context, tx pgx.Tx, limit int) (store.Page, error) {
	page, err := s.read(ctx, tx, limit)
	if page.Next == 0 && err == nil {
		page.Next = s.end
	}
	return page, err
}

// fitting makes of a statement with a column size another that leaves out the
// content behind a full page: the driver reads every row that the server sends,
// wanted or not. position is the order of the statement.
func fitting(c *clause, position, columns string, content ...string) string {
	for _, column := range content {
		columns += fmt.Sprintf(", CASE WHEN upto - size < %d THEN %s END", store.MaxPageBytes, column)
	}
	return "SELECT " + columns + " FROM (SELECT p.*, sum(size) OVER (ORDER BY " + position + " ROWS UNBOUNDED PRECEDING) AS upto FROM (" +
		c.sql() + ") p) w ORDER BY " + position
}

func (s *selection) read(ctx context.Context, tx pgx.Tx, limit int) (store.Page, error) {
	var r store.Record
	var added, version int64
	into := []any{&r.Seq, &added, &r.ID, &version, &r.Type, &r.SpecVersion, &r.Collection, &r.Form}
	statement := s.sql()
	if s.content {
		statement = fitting(&s.clause, "position", "seq, position, stix_id, version, type, spec, collection, form", "raw")
		into = append(into, &r.Raw)
	}
	rows, err := tx.Query(ctx, statement, s.args...)
	if err != nil {
		return store.Page{}, err
	}
	var page store.Page
	size, full := 0, false
	_, err = pgx.ForEachRow(rows, into, func() error {
		if full {
			return nil
		}
		if n := len(page.Records); n == limit || size >= store.MaxPageBytes {
			page.Next = page.Records[n-1].DateAdded.UnixMicro()
			full = true
			return nil
		}
		r.DateAdded, r.Version = instant(added), versionTime(version)
		size += len(r.Raw)
		page.Records = append(page.Records, r)
		r.Raw = nil // the next row gets memory of its own
		return nil
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}
