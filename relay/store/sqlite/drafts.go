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

const wholeDraft = "SELECT seq, peer, id, waiting, precedence, created_at, expires_at, body FROM drafts"

func scanDraft(row interface{ Scan(dest ...any) error }) (seq int64, d store.Draft, err error) {
	var created, expires int64
	if err := row.Scan(&seq, &d.Peer, &d.ID, &d.Waiting, &d.Precedence, &created, &expires, &d.Body); err != nil {
		return 0, store.Draft{}, err
	}
	d.CreatedAt, d.ExpiresAt = instant(created), instant(expires)
	return seq, d, nil
}

// Draft implements store.DraftReader.
func (r *lineReader) Draft(id string) (store.Draft, error) {
	_, d, err := scanDraft(r.tx.QueryRowContext(r.ctx, wholeDraft+" WHERE peer = ? AND id = ?", r.peer, id))
	if errors.Is(err, sql.ErrNoRows) {
		return store.Draft{}, fmt.Errorf("draft %q: %w", id, store.ErrNotFound)
	}
	return d, err
}

// WaitingDrafts implements store.DraftReader.
func (r *lineReader) WaitingDrafts() (n int64, err error) {
	err = r.tx.QueryRowContext(r.ctx, "SELECT count(*) FROM drafts WHERE peer = ? AND waiting = 1", r.peer).Scan(&n)
	return n, err
}

// PutDraft implements store.DraftWriter.
func (l *lineTx) PutDraft(d store.Draft) error {
	if err := d.Check(); err != nil {
		return fmt.Errorf("storing draft: %w", err)
	}
	_, err := l.tx.ExecContext(l.ctx, `INSERT INTO drafts (peer, id, waiting, precedence, created_at, expires_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)
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
	err = s.look(ctx, "listing drafts", func(tx *transaction) error {
		var c clause
		c.add(wholeDraft + " WHERE 1")
		if q.Peer != "" {
			c.add(" AND peer = ?", q.Peer)
		}
		if q.Waiting {
			c.add(" AND waiting = 1")
		}
		if q.Before != 0 {
			c.add(" AND seq < ?", q.Before)
		}
		c.add(" ORDER BY seq DESC LIMIT ?", q.Limit+1)
		page, err = queryDrafts(ctx, tx, &c, q.Limit)
		return err
	})
	return page, err
}

// queryDrafts reads drafts until limit, or until they fill a page.
func queryDrafts(ctx context.Context, tx *transaction, c *clause, limit int) (page store.DraftPage, err error) {
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return store.DraftPage{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
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
