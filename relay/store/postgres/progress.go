// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// Progress implements store.Outgoing.
func (s *Store) Progress(ctx context.Context, feed, peer string) (store.Progress, error) {
	var p store.Progress
	err := s.look(ctx, s.bulk, "reading progress", func(ctx context.Context, tx pgx.Tx) error {
		var sent, received, signed int64
		err := tx.QueryRow(ctx, "SELECT handed_to, sent_to, sent_at, received_to, received_at, receipt, receipt_at FROM views WHERE feed = $1 AND peer = $2",
			feed, peer).Scan(&p.HandedTo, &p.SentTo, &sent, &p.ReceivedTo, &received, &p.Receipt, &signed)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		p.SentAt, p.ReceivedAt, p.ReceiptAt = instant(sent), instant(received), instant(signed)
		return err
	})
	return p, err
}

// SetProgress implements store.Outgoing.
func (s *Store) SetProgress(ctx context.Context, feed, peer string, p store.Progress, refused []store.Refusal) error {
	if len(refused) > store.MaxRecords || len(p.Receipt) > store.MaxReceipt {
		return fmt.Errorf("storing progress: %d refusals or a receipt of %d bytes are too much", len(refused), len(p.Receipt))
	}
	return s.change(ctx, s.bulk, "storing progress", func(ctx context.Context, tx pgx.Tx) error {
		view, err := viewID(ctx, tx, feed, peer)
		if err != nil {
			return err
		}
		// What an older receipt says was true once, and is not told again.
		done, err := tx.Exec(ctx, `UPDATE views SET
			sent_at = CASE WHEN sent_to < $2 THEN $3 ELSE sent_at END, sent_to = greatest(sent_to, $2),
			received_at = CASE WHEN received_to < $4 THEN $5 ELSE received_at END, received_to = greatest(received_to, $4),
			receipt = coalesce($6, receipt), receipt_at = CASE WHEN $6::bytea IS NULL THEN receipt_at ELSE $7 END
			WHERE id = $1 AND ($6::bytea IS NULL OR receipt_at <= $7)`,
			view, p.SentTo, micros(p.SentAt), p.ReceivedTo, micros(p.ReceivedAt), p.Receipt, micros(p.ReceiptAt))
		if err != nil || done.RowsAffected() == 0 {
			return err
		}
		return putRefusals(ctx, tx, view, refused)
	})
}

// putRefusals stores refusals while the view is locked by the one who calls.
func putRefusals(ctx context.Context, tx pgx.Tx, view int32, refused []store.Refusal) error {
	if len(refused) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, r := range refused {
		batch.Queue(`INSERT INTO refusals (view, stix_id, version, reason, at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (view, stix_id, version) DO UPDATE SET reason = excluded.reason, at = excluded.at`,
			view, r.ID, versionMicros(r.Version), r.Reason, micros(r.At))
	}
	batch.Queue(`DELETE FROM refusals r USING (SELECT stix_id, version FROM refusals WHERE view = $1
		ORDER BY at DESC, stix_id DESC, version DESC OFFSET $2) o WHERE r.view = $1 AND r.stix_id = o.stix_id AND r.version = o.version`, view, store.MaxRefusals)
	return tx.SendBatch(ctx, batch).Close()
}

// Refusals implements store.Outgoing.
func (s *Store) Refusals(ctx context.Context, feed, peer, id string, limit int) ([]store.Refusal, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return nil, fmt.Errorf("listing refusals: %w", err)
	}
	var found []store.Refusal
	err := s.look(ctx, s.bulk, "listing refusals", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT r.version, r.reason, r.at FROM views v CROSS JOIN refusals r WHERE r.view = v.id
			AND v.feed = $1 AND v.peer = $2 AND r.stix_id = $3 ORDER BY r.version LIMIT $4`, feed, peer, id, limit)
		if err != nil {
			return err
		}
		r := store.Refusal{ID: id}
		var version, at int64
		_, err = pgx.ForEachRow(rows, []any{&version, &r.Reason, &at}, func() error {
			r.Version, r.At = versionTime(version), instant(at)
			found = append(found, r)
			return nil
		})
		return err
	})
	return found, err
}

// CountRefusals implements store.Outgoing.
func (s *Store) CountRefusals(ctx context.Context, feed, peer string) (int64, error) {
	var n int64
	err := s.look(ctx, s.bulk, "counting refusals", func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT count(*) FROM refusals WHERE view = (SELECT id FROM views WHERE feed = $1 AND peer = $2)", feed, peer).Scan(&n)
	})
	return n, err
}

// PutReferences implements store.Outgoing.
func (s *Store) PutReferences(ctx context.Context, collection string, references []store.Reference) error {
	const doing = "storing references"
	if len(references) > store.MaxRecords {
		return fmt.Errorf("%s: %d at once are more than %d", doing, len(references), store.MaxRecords)
	}
	if len(references) == 0 {
		return nil
	}
	words, err := s.learn(ctx, doing, collection)
	if err != nil {
		return err
	}
	to, kinds, from := make([]string, len(references)), make([]string, len(references)), make([]string, len(references))
	for i, r := range references {
		to[i], kinds[i], from[i] = r.To, r.Kind, r.From
	}
	return s.changeFeeds(ctx, doing, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := s.tick(ctx, tx, 0); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `INSERT INTO object_references (collection, to_id, kind, from_id) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])
			ON CONFLICT DO NOTHING RETURNING to_id`, words[collection], to, kinds, from)
		if err != nil {
			return err
		}
		changed, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(changed) == 0 {
			return err
		}
		slices.Sort(changed)
		return s.lapse(ctx, tx, words[collection], slices.Compact(changed))
	})
}

// ReferencesTo implements store.Outgoing.
func (s *Store) ReferencesTo(ctx context.Context, collection string, to []string, limit int) ([]store.Reference, error) {
	if err := checkQuery(store.Query{IDs: to, Limit: limit}, 1); err != nil {
		return nil, fmt.Errorf("listing references: %w", err)
	}
	var found []store.Reference
	err := s.look(ctx, s.bulk, "listing references", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT r.kind, r.from_id, r.to_id FROM words w CROSS JOIN object_references r WHERE r.collection = w.id
			AND w.word = $1 AND r.to_id = ANY ($2) ORDER BY r.to_id, r.kind, r.from_id LIMIT $3`, collection, to, limit)
		if err != nil {
			return err
		}
		var r store.Reference
		_, err = pgx.ForEachRow(rows, []any{&r.Kind, &r.From, &r.To}, func() error { found = append(found, r); return nil })
		return err
	})
	return found, err
}
