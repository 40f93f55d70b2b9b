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

// AppendTrust implements store.Trust.
//
// One transaction, one at a time: a crash before its commit leaves neither a
// record nor a bundle; after it, all of both.
func (s *Store) AppendTrust(ctx context.Context, compose func(last store.TrustRecord) (store.TrustChange, error)) error {
	return s.change(ctx, s.urgent, "storing a change of trust", func(ctx context.Context, tx pgx.Tx) error {
		// The last record must stay the last until the commit. Readers are not held up.
		if _, err := tx.Exec(ctx, "LOCK TABLE trust_records IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
		var last store.TrustRecord
		err := tx.QueryRow(ctx, "SELECT seq, subject, content FROM trust_records ORDER BY seq DESC LIMIT 1").Scan(&last.Seq, &last.Subject, &last.Content)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
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

func insertTrust(ctx context.Context, tx pgx.Tx, seq int64, r store.TrustRecord) error {
	if n := len(r.Content); n == 0 || n > store.MaxTrustRecordBytes {
		return fmt.Errorf("a record of %d bytes is not within 1 to %d", n, store.MaxTrustRecordBytes)
	}
	_, err := tx.Exec(ctx, "INSERT INTO trust_records (seq, subject, content) VALUES ($1, $2, $3)", seq, r.Subject, r.Content)
	return err
}

func changeLearned(ctx context.Context, tx pgx.Tx, change store.TrustChange) error {
	if len(change.Forget) > 0 {
		if _, err := tx.Exec(ctx, "DELETE FROM learned_bundles WHERE trust_domain = ANY ($1)", change.Forget); err != nil {
			return err
		}
	}
	b := change.Learn
	if b == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO learned_bundles (trust_domain, base, bundle, serial, learned_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (trust_domain) DO UPDATE SET base = excluded.base, bundle = excluded.bundle, serial = excluded.serial, learned_at = excluded.learned_at`,
		b.TrustDomain, b.Base, b.Bundle, b.Serial, micros(b.LearnedAt))
	return err
}

// ListTrust implements store.Trust.
func (s *Store) ListTrust(ctx context.Context, q store.TrustQuery) (store.TrustPage, error) {
	if err := checkLimit(q.Limit, store.MaxTrustRecords); err != nil {
		return store.TrustPage{}, fmt.Errorf("listing changes of trust: %w", err)
	}
	c := &clause{}
	c.add("SELECT seq, subject, content, octet_length(content) AS size FROM trust_records WHERE seq > ?", q.After)
	if q.Subject != "" {
		c.add(" AND subject = ?", q.Subject)
	}
	c.add(" ORDER BY seq LIMIT ?", q.Limit+1)
	var page store.TrustPage
	err := s.look(ctx, s.urgent, "listing changes of trust", func(ctx context.Context, tx pgx.Tx) (err error) {
		page, err = queryTrust(ctx, tx, c, q.Limit)
		return err
	})
	return page, err
}

// queryTrust reads records until limit, or until they fill a page.
func queryTrust(ctx context.Context, tx pgx.Tx, c *clause, limit int) (page store.TrustPage, err error) {
	rows, err := tx.Query(ctx, fitting(c, "seq", "upto - size, seq, subject", "content"), c.args...)
	if err != nil {
		return store.TrustPage{}, err
	}
	var before int64
	var r store.TrustRecord
	_, err = pgx.ForEachRow(rows, []any{&before, &r.Seq, &r.Subject, &r.Content}, func() error {
		if n := len(page.Records); page.Next == 0 && (n == limit || before >= store.MaxPageBytes) {
			page.Next = page.Records[n-1].Seq
		}
		if page.Next == 0 {
			page.Records = append(page.Records, r)
			r.Content = nil // the next row gets memory of its own
		}
		return nil
	})
	if err != nil {
		return store.TrustPage{}, err
	}
	return page, nil
}

// LearnedBundles implements store.Trust.
func (s *Store) LearnedBundles(ctx context.Context) ([]store.LearnedBundle, error) {
	var all []store.LearnedBundle
	err := s.look(ctx, s.urgent, "listing learned bundles", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT trust_domain, base, bundle, serial, learned_at FROM learned_bundles ORDER BY trust_domain")
		if err != nil {
			return err
		}
		var b store.LearnedBundle
		var at int64
		_, err = pgx.ForEachRow(rows, []any{&b.TrustDomain, &b.Base, &b.Bundle, &b.Serial, &at}, func() error {
			b.LearnedAt = instant(at)
			all = append(all, b)
			return nil
		})
		return err
	})
	return all, err
}
