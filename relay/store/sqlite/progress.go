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

// Progress implements store.Outgoing.
func (s *Store) Progress(ctx context.Context, feedName, peer string) (store.Progress, error) {
	var p store.Progress
	err := s.look(ctx, "reading progress", func(tx *transaction) error {
		var sent, received, signed int64
		err := tx.QueryRowContext(ctx, "SELECT handed_to, sent_to, sent_at, received_to, received_at, receipt, receipt_at FROM views WHERE feed = ? AND peer = ?",
			feedName, peer).Scan(&p.HandedTo, &p.SentTo, &sent, &p.ReceivedTo, &received, &p.Receipt, &signed)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		p.SentAt, p.ReceivedAt, p.ReceiptAt = instant(sent), instant(received), instant(signed)
		return err
	})
	return p, err
}

// SetProgress implements store.Outgoing.
func (s *Store) SetProgress(ctx context.Context, feedName, peer string, p store.Progress, refused []store.Refusal) error {
	if len(refused) > store.MaxRecords || len(p.Receipt) > store.MaxReceipt {
		return fmt.Errorf("storing progress: %d refusals or a receipt of %d bytes are too much", len(refused), len(p.Receipt))
	}
	return s.change(ctx, feed, "storing progress", func(tx *transaction) error {
		view, err := viewID(ctx, tx, feedName, peer)
		if err != nil {
			return err
		}
		if p.Receipt != nil {
			// What an older receipt says was true once, and is not told again.
			newer, err := tx.ExecContext(ctx, "UPDATE views SET receipt = ?2, receipt_at = ?3 WHERE id = ?1 AND receipt_at <= ?3", view, p.Receipt, micros(p.ReceiptAt))
			if err != nil {
				return err
			}
			if n, err := newer.RowsAffected(); n == 0 || err != nil {
				return err
			}
		}
		for _, step := range []struct {
			text string
			args []any
		}{
			{"UPDATE views SET sent_to = ?2, sent_at = ?3 WHERE id = ?1 AND sent_to < ?2", []any{view, p.SentTo, micros(p.SentAt)}},
			{"UPDATE views SET received_to = ?2, received_at = ?3 WHERE id = ?1 AND received_to < ?2", []any{view, p.ReceivedTo, micros(p.ReceivedAt)}},
		} {
			if _, err := tx.ExecContext(ctx, step.text, step.args...); err != nil {
				return err
			}
		}
		return putRefusals(ctx, tx, view, refused)
	})
}

func putRefusals(ctx context.Context, tx *transaction, view int64, refused []store.Refusal) error {
	for _, r := range refused {
		if _, err := tx.ExecContext(ctx, `INSERT INTO refusals (view, stix_id, version, reason, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (view, stix_id, version) DO UPDATE SET reason = excluded.reason, at = excluded.at`,
			view, r.ID, versionMicros(r.Version), r.Reason, micros(r.At)); err != nil {
			return err
		}
	}
	if len(refused) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM refusals WHERE view = ?1 AND (stix_id, version) IN
		(SELECT stix_id, version FROM refusals INDEXED BY refusals_by_age WHERE view = ?1 ORDER BY at DESC, stix_id DESC, version DESC LIMIT -1 OFFSET ?2)`,
		view, store.MaxRefusals)
	return err
}

// Refusals implements store.Outgoing.
func (s *Store) Refusals(ctx context.Context, feedName, peer, id string, limit int) ([]store.Refusal, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return nil, fmt.Errorf("listing refusals: %w", err)
	}
	var found []store.Refusal
	err := s.look(ctx, "listing refusals", func(tx *transaction) error {
		rows, err := tx.QueryContext(ctx, `SELECT r.version, r.reason, r.at FROM views v CROSS JOIN refusals r ON r.view = v.id
			WHERE v.feed = ? AND v.peer = ? AND r.stix_id = ? ORDER BY r.version LIMIT ?`, feedName, peer, id, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r := store.Refusal{ID: id}
			var version, at int64
			if err := rows.Scan(&version, &r.Reason, &at); err != nil {
				return err
			}
			r.Version, r.At = versionTime(version), instant(at)
			found = append(found, r)
		}
		return rows.Err()
	})
	return found, err
}

// CountRefusals implements store.Outgoing.
func (s *Store) CountRefusals(ctx context.Context, feedName, peer string) (int64, error) {
	var n int64
	err := s.look(ctx, "counting refusals", func(tx *transaction) error {
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM refusals WHERE view = (SELECT id FROM views WHERE feed = ? AND peer = ?)",
			feedName, peer).Scan(&n)
	})
	return n, err
}
