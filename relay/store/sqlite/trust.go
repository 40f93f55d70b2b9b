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

// AppendTrust implements store.Trust.
//
// One transaction: a crash before its commit leaves neither a record nor a bundle;
// after it, all of both.
func (s *Store) AppendTrust(ctx context.Context, compose func(last store.TrustRecord) (store.TrustChange, error)) error {
	return s.change(ctx, hotline, "storing a change of trust", func(tx *transaction) error {
		var last store.TrustRecord
		err := tx.QueryRowContext(ctx, "SELECT seq, subject, content FROM trust_records ORDER BY seq DESC LIMIT 1").
			Scan(&last.Seq, &last.Subject, &last.Content)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		change, err := compose(last)
		if err != nil {
			return err
		}
		for i, r := range change.Records {
			if err := insertTrust(ctx, tx, last.Seq+int64(i)+1, r); err != nil {
				return err
			}
		}
		return changeLearned(ctx, tx, change)
	})
}

func insertTrust(ctx context.Context, tx *transaction, seq int64, r store.TrustRecord) error {
	if n := len(r.Content); n == 0 || n > store.MaxTrustRecordBytes {
		return fmt.Errorf("a record of %d bytes is not within 1 to %d", n, store.MaxTrustRecordBytes)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO trust_records (seq, subject, content) VALUES (?, ?, ?)", seq, r.Subject, r.Content)
	return err
}

func changeLearned(ctx context.Context, tx *transaction, change store.TrustChange) error {
	for _, td := range change.Forget {
		if _, err := tx.ExecContext(ctx, "DELETE FROM learned_bundles WHERE trust_domain = ?", td); err != nil {
			return err
		}
	}
	b := change.Learn
	if b == nil {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO learned_bundles (trust_domain, base, bundle, serial, learned_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (trust_domain) DO UPDATE SET base = excluded.base, bundle = excluded.bundle, serial = excluded.serial, learned_at = excluded.learned_at`,
		b.TrustDomain, b.Base, b.Bundle, b.Serial, micros(b.LearnedAt))
	return err
}

// ListTrust implements store.Trust.
func (s *Store) ListTrust(ctx context.Context, q store.TrustQuery) (store.TrustPage, error) {
	if err := checkLimit(q.Limit, store.MaxTrustRecords); err != nil {
		return store.TrustPage{}, fmt.Errorf("listing changes of trust: %w", err)
	}
	var page store.TrustPage
	err := s.look(ctx, "listing changes of trust", func(tx *transaction) error {
		var c clause
		c.add("SELECT seq, subject, content FROM trust_records WHERE seq > ?", q.After)
		if q.Subject != "" {
			c.add(" AND subject = ?", q.Subject)
		}
		c.add(" ORDER BY seq LIMIT ?", q.Limit+1)
		var err error
		page, err = queryTrust(ctx, tx, &c, q.Limit)
		return err
	})
	return page, err
}

// queryTrust reads records until limit, or until they fill a page.
func queryTrust(ctx context.Context, tx *transaction, c *clause, limit int) (page store.TrustPage, err error) {
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return store.TrustPage{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	for rows.Next() {
		if n := len(page.Records); n == limit || size >= store.MaxPageBytes {
			page.Next = page.Records[n-1].Seq
			return page, nil
		}
		var r store.TrustRecord
		if err := rows.Scan(&r.Seq, &r.Subject, &r.Content); err != nil {
			return store.TrustPage{}, err
		}
		size += len(r.Content)
		page.Records = append(page.Records, r)
	}
	return page, rows.Err()
}

// LearnedBundles implements store.Trust.
func (s *Store) LearnedBundles(ctx context.Context) ([]store.LearnedBundle, error) {
	var all []store.LearnedBundle
	err := s.look(ctx, "listing learned bundles", func(tx *transaction) (err error) {
		rows, err := tx.QueryContext(ctx, "SELECT trust_domain, base, bundle, serial, learned_at FROM learned_bundles ORDER BY trust_domain")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var b store.LearnedBundle
			var at int64
			if err := rows.Scan(&b.TrustDomain, &b.Base, &b.Bundle, &b.Serial, &at); err != nil {
				return err
			}
			b.LearnedAt = instant(at)
			all = append(all, b)
		}
		return rows.Err()
	})
	return all, err
}
