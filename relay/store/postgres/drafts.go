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

const wholeDraft = "SELECT seq, peer, id, waiting, precedence, created_at, expires_at, body FROM drafts"

func scanDraft(row pgx.Row) (seq int64, d store.Draft, err error) {
	var created, expires int64
	if err := row.Scan(&seq, &d.Peer, &d.ID, &d.Waiting, &d.Precedence, &created, &expires, &d.Body); err != nil {
		return 0, store.Draft{}, err
	}
	d.CreatedAt, d.ExpiresAt = instant(created), instant(expires)
	return seq, d, nil
}

// Draft implements store.DraftReader.
func (r *lineReader) Draft(id string) (store.Draft, error) {
	_, d, err := scanDraft(r.tx.QueryRow(r.ctx, wholeDraft+" WHERE peer = $1 AND id = $2", r.peer, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Draft{}, fmt.Errorf("draft %q: %w", id, store.ErrNotFound)
	}
	return d, err
}

// WaitingDrafts implements store.DraftReader.
func (r *lineReader) WaitingDrafts() (n int64, err error) {
	err = r.tx.QueryRow(r.ctx, "SELECT count(*) FROM drafts WHERE peer = $1 AND waiting", r.peer).Scan(&n)
	return n, err
}

// PutDraft implements store.DraftWriter.
func (l *lineTx) PutDraft(d store.Draft) error {
	if err := d.Check(); err != nil {
		return fmt.Errorf("storing draft: %w", err)
	}
	_, err := l.tx.Exec(l.ctx, `INSERT INTO drafts (peer, id, waiting, precedence, created_at, expires_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (peer, id) DO UPDATE SET waiting = excluded.waiting, precedence = excluded.precedence,
			created_at = excluded.created_at, expires_at = excluded.expires_at, body = excluded.body`,
		l.peer, d.ID, d.Waiting, d.Precedence, micros(d.CreatedAt), micros(d.ExpiresAt), d.Body)
	return err
}

// ListDrafts implements store.Drafts.
func (s *Store) ListDrafts(ctx context.Context, q store.DraftQuery) (page store.DraftPage, err error) {
	if err := checkLimit(q.Limit, store.MaxDrafts); err != nil {
		return store.DraftPage{}, fmt.Errorf("listing drafts: %w", err)
	}
	c := &clause{}
	c.add(wholeDraft + " WHERE true")
	if q.Peer != "" {
		c.add(" AND peer = ?", q.Peer)
	}
	if q.Waiting {
		c.add(" AND waiting")
	}
	if q.Before != 0 {
		c.add(" AND seq < ?", q.Before)
	}
	c.add(" ORDER BY seq DESC LIMIT ?", q.Limit+1)
	err = s.look(ctx, s.urgent, "listing drafts", func(ctx context.Context, tx pgx.Tx) (err error) {
		page, err = queryDrafts(ctx, tx, c, q.Limit)
		return err
	})
	return page, err
}

// queryDrafts reads drafts until limit, or until they fill a page.
func queryDrafts(ctx context.Context, tx pgx.Tx, c *clause, limit int) (page store.DraftPage, err error) {
	rows, err := tx.Query(ctx, c.sql(), c.args...)
	if err != nil {
		return store.DraftPage{}, err
	}
	defer rows.Close()
	var last int64
	size := 0
	for rows.Next() {
		if len(page.Drafts) == limit || size >= store.MaxPageBytes {
			page.Next = last
			return page, nil
		}
		seq, d, err := scanDraft(rows)
		if err != nil {
			return store.DraftPage{}, err
		}
		last = seq
		size += len(d.Body)
		page.Drafts = append(page.Drafts, d)
	}
	return page, rows.Err()
}
