// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/certlink/certlink/relay/store"
)

// Delivery implements store.Deliveries.
func (s *Store) Delivery(ctx context.Context, collection, name string) (store.Delivery, error) {
	var d store.Delivery
	err := s.look(ctx, "reading delivery", func(tx *transaction) error {
		var err error
		_, d, err = findDelivery(ctx, tx, collection, name)
		return err
	})
	return d, err
}

// findDelivery returns the number and the state of a delivery; zeros if there is none.
func findDelivery(ctx context.Context, tx *transaction, collection, name string) (id int64, d store.Delivery, err error) {
	err = tx.QueryRowContext(ctx, `SELECT d.id, d.position, d.delivered, d.dead, d.queued FROM words w CROSS JOIN deliveries d ON d.collection = w.id
		WHERE w.word = ? AND d.name = ?`, collection, name).Scan(&id, &d.Position, &d.Delivered, &d.Dead, &d.Queued)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, store.Delivery{}, nil
	}
	return id, d, err
}

// AdvanceDelivery implements store.Deliveries.
//
// One transaction: a crash before its commit leaves the old position, and the records
// are delivered again; after it, neither a record nor a dead letter is missing.
func (s *Store) AdvanceDelivery(ctx context.Context, collection, name string, step store.Advance) error {
	if len(step.Dead) > store.MaxRecords {
		return fmt.Errorf("advancing delivery: %d dead letters at once are more than %d", len(step.Dead), store.MaxRecords)
	}
	return s.change(ctx, feed, "advancing delivery", func(tx *transaction) error {
		id, d, err := findDelivery(ctx, tx, collection, name)
		if err != nil {
			return err
		}
		if d.Position != step.From {
			return fmt.Errorf("%w: the delivery stands at %d, not at %d", store.ErrConflict, d.Position, step.From)
		}
		if id == 0 {
			if id, err = beginDelivery(ctx, tx, collection, name); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE deliveries SET position = ?, delivered = delivered + ? WHERE id = ?", step.To, step.Delivered, id); err != nil {
			return err
		}
		for _, l := range step.Dead {
			if _, err := tx.ExecContext(ctx, "INSERT INTO dead_letters (delivery, seq, stix_id, version, reason, at, queued) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
				id, l.Seq, l.ID, versionMicros(l.Version), deadReason(l.Reason), micros(l.At), l.Queued); err != nil {
				return err
			}
		}
		return countDead(ctx, tx, id, len(step.Dead))
	})
}

func beginDelivery(ctx context.Context, tx *transaction, collection, name string) (int64, error) {
	number, err := newVocabulary(tx).id(ctx, collection)
	if err != nil {
		return 0, err
	}
	res, err := tx.ExecContext(ctx, "INSERT INTO deliveries (collection, name) VALUES (?, ?)", number, name)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// countDead sets the sums after changes of dead letters.
func countDead(ctx context.Context, tx *transaction, id int64, changes int) error {
	if changes == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE deliveries SET dead = (SELECT count(*) FROM dead_letters WHERE delivery = id),
		queued = (SELECT count(*) FROM dead_letters WHERE delivery = id AND queued = 1) WHERE id = ?`, id)
	return err
}

func deadReason(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), store.MaxDeadReason)], "")
}

// DeadLetters implements store.Deliveries.
func (s *Store) DeadLetters(ctx context.Context, collection, name string, after int64, queued bool, limit int) ([]store.DeadLetter, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return nil, fmt.Errorf("listing dead letters: %w", err)
	}
	var list []store.DeadLetter
	err := s.look(ctx, "listing dead letters", func(tx *transaction) (err error) {
		id, _, err := findDelivery(ctx, tx, collection, name)
		if err != nil || id == 0 {
			return err
		}
		var c clause
		c.add("SELECT seq, stix_id, version, reason, at, queued FROM dead_letters WHERE delivery = ? AND seq > ?", id, after)
		if queued {
			c.add(" AND queued = 1")
		}
		c.add(" ORDER BY seq LIMIT ?", limit)
		rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var l store.DeadLetter
			var version, at int64
			if err := rows.Scan(&l.Seq, &l.ID, &version, &l.Reason, &at, &l.Queued); err != nil {
				return err
			}
			l.Version, l.At = versionTime(version), instant(at)
			list = append(list, l)
		}
		return rows.Err()
	})
	return list, err
}

// QueueDeadLetters implements store.Deliveries.
func (s *Store) QueueDeadLetters(ctx context.Context, collection, name string) (int64, error) {
	var n int64
	err := s.change(ctx, feed, "queueing dead letters", func(tx *transaction) error {
		id, d, err := findDelivery(ctx, tx, collection, name)
		if err != nil || id == 0 {
			return err
		}
		n = d.Dead
		if _, err := tx.ExecContext(ctx, "UPDATE dead_letters SET queued = 1 WHERE delivery = ?", id); err != nil {
			return err
		}
		return countDead(ctx, tx, id, 1)
	})
	return n, err
}

// SettleDeadLetters implements store.Deliveries.
func (s *Store) SettleDeadLetters(ctx context.Context, collection, name string, taken []int64, dead []store.DeadLetter) error {
	if max(len(taken), len(dead)) > store.MaxRecords {
		return fmt.Errorf("settling dead letters: %d at once are more than %d", max(len(taken), len(dead)), store.MaxRecords)
	}
	return s.change(ctx, feed, "settling dead letters", func(tx *transaction) error {
		id, _, err := findDelivery(ctx, tx, collection, name)
		if err != nil || id == 0 {
			return err
		}
		var gone int64
		for _, seq := range taken {
			res, err := tx.ExecContext(ctx, "DELETE FROM dead_letters WHERE delivery = ? AND seq = ?", id, seq)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			gone += n
		}
		for _, l := range dead {
			if _, err := tx.ExecContext(ctx, "UPDATE dead_letters SET reason = ?, at = ?, queued = 0 WHERE delivery = ? AND seq = ?",
				deadReason(l.Reason), micros(l.At), id, l.Seq); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE deliveries SET delivered = delivered + ? WHERE id = ?", gone, id); err != nil {
			return err
		}
		return countDead(ctx, tx, id, len(taken)+len(dead))
	})
}

// Waiting implements store.Deliveries.
func (s *Store) Waiting(ctx context.Context, collection string, position, most int64) (int64, error) {
	var n int64
	err := s.look(ctx, "counting what waits", func(tx *transaction) error {
		number, err := wordID(ctx, tx, collection)
		if err != nil || number == 0 {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM objects INDEXED BY objects_by_position
			WHERE collection = ? AND seq > ? LIMIT ?)`, number, position, most).Scan(&n)
	})
	return n, err
}
