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

// Delivery implements store.Deliveries.
func (s *Store) Delivery(ctx context.Context, collection, name string) (store.Delivery, error) {
	var d store.Delivery
	err := s.look(ctx, s.bulk, "reading delivery", func(ctx context.Context, tx pgx.Tx) (err error) {
		_, d, err = findDelivery(ctx, tx, collection, name, "")
		return err
	})
	return d, err
}

// findDelivery returns the number and the state of a delivery; zeros if there is none.
func findDelivery(ctx context.Context, tx pgx.Tx, collection, name, lock string) (id int32, d store.Delivery, err error) {
	err = tx.QueryRow(ctx, `SELECT d.id, d.position, d.delivered, d.dead, d.queued FROM words w CROSS JOIN deliveries d WHERE d.collection = w.id
		AND w.word = $1 AND d.name = $2`+lock, collection, name).Scan(&id, &d.Position, &d.Delivered, &d.Dead, &d.Queued)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, store.Delivery{}, nil
	}
	return id, d, err
}

// locked is for whoever changes the delivery.
const locked = " FOR UPDATE OF d"

// AdvanceDelivery implements store.Deliveries.
//
// One transaction: a crash before its commit leaves the old position, and the records
// are delivered again; after it, neither a record nor a dead letter is missing.
func (s *Store) AdvanceDelivery(ctx context.Context, collection, name string, step store.Advance) error {
	const doing = "advancing delivery"
	if len(step.Dead) > store.MaxRecords {
		return fmt.Errorf("%s: %d dead letters at once are more than %d", doing, len(step.Dead), store.MaxRecords)
	}
	words, err := s.learn(ctx, doing, collection)
	if err != nil {
		return err
	}
	return s.change(ctx, s.bulk, doing, func(ctx context.Context, tx pgx.Tx) error {
		if step.From == 0 {
			// Whoever comes second waits here for the first, and then finds its position.
			if _, err := tx.Exec(ctx, "INSERT INTO deliveries (collection, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", words[collection], name); err != nil {
				return err
			}
		}
		id, d, err := findDelivery(ctx, tx, collection, name, locked)
		if err != nil {
			return err
		}
		if d.Position != step.From {
			return fmt.Errorf("%w: the delivery stands at %d, not at %d", store.ErrConflict, d.Position, step.From)
		}
		if _, err := tx.Exec(ctx, "UPDATE deliveries SET position = $2, delivered = delivered + $3 WHERE id = $1", id, step.To, step.Delivered); err != nil {
			return err
		}
		return insertDead(ctx, tx, id, step.Dead)
	})
}

func insertDead(ctx context.Context, tx pgx.Tx, id int32, letters []store.DeadLetter) error {
	if len(letters) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, l := range letters {
		batch.Queue(`INSERT INTO dead_letters (delivery, seq, stix_id, version, reason, at, queued) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			id, l.Seq, l.ID, versionMicros(l.Version), deadReason(l.Reason), micros(l.At), l.Queued)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	return countDead(ctx, tx, id)
}

// countDead sets the sums after changes of dead letters.
func countDead(ctx context.Context, tx pgx.Tx, id int32) error {
	_, err := tx.Exec(ctx, `UPDATE deliveries SET dead = (SELECT count(*) FROM dead_letters WHERE delivery = $1),
		queued = (SELECT count(*) FROM dead_letters WHERE delivery = $1 AND queued) WHERE id = $1`, id)
	return err
}

// deadReason is what is kept of a reason.
func deadReason(text string) string { return storable(text[:min(len(text), store.MaxDeadReason)]) }

// DeadLetters implements store.Deliveries.
func (s *Store) DeadLetters(ctx context.Context, collection, name string, after int64, queued bool, limit int) ([]store.DeadLetter, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return nil, fmt.Errorf("listing dead letters: %w", err)
	}
	var list []store.DeadLetter
	err := s.look(ctx, s.bulk, "listing dead letters", func(ctx context.Context, tx pgx.Tx) error {
		id, _, err := findDelivery(ctx, tx, collection, name, "")
		if err != nil || id == 0 {
			return err
		}
		var c clause
		c.add("SELECT seq, stix_id, version, reason, at, queued FROM dead_letters WHERE delivery = ? AND seq > ?", id, after)
		if queued {
			c.add(" AND queued")
		}
		c.add(" ORDER BY seq LIMIT ?", limit)
		rows, err := tx.Query(ctx, c.sql(), c.args...)
		if err != nil {
			return err
		}
		var l store.DeadLetter
		var version, at int64
		_, err = pgx.ForEachRow(rows, []any{&l.Seq, &l.ID, &version, &l.Reason, &at, &l.Queued}, func() error {
			l.Version, l.At = versionTime(version), instant(at)
			list = append(list, l)
			return nil
		})
		return err
	})
	return list, err
}

// QueueDeadLetters implements store.Deliveries.
func (s *Store) QueueDeadLetters(ctx context.Context, collection, name string) (int64, error) {
	var n int64
	err := s.change(ctx, s.bulk, "queueing dead letters", func(ctx context.Context, tx pgx.Tx) error {
		id, d, err := findDelivery(ctx, tx, collection, name, locked)
		if err != nil || id == 0 {
			return err
		}
		n = d.Dead
		if _, err := tx.Exec(ctx, "UPDATE dead_letters SET queued = true WHERE delivery = $1 AND NOT queued", id); err != nil {
			return err
		}
		return countDead(ctx, tx, id)
	})
	return n, err
}

// SettleDeadLetters implements store.Deliveries.
func (s *Store) SettleDeadLetters(ctx context.Context, collection, name string, taken []int64, dead []store.DeadLetter) error {
	if max(len(taken), len(dead)) > store.MaxRecords {
		return fmt.Errorf("settling dead letters: %d at once are more than %d", max(len(taken), len(dead)), store.MaxRecords)
	}
	return s.change(ctx, s.bulk, "settling dead letters", func(ctx context.Context, tx pgx.Tx) error {
		id, _, err := findDelivery(ctx, tx, collection, name, locked)
		if err != nil || id == 0 {
			return err
		}
		gone, err := tx.Exec(ctx, "DELETE FROM dead_letters WHERE delivery = $1 AND seq = ANY ($2)", id, taken)
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for _, l := range dead {
			batch.Queue("UPDATE dead_letters SET reason = $1, at = $2, queued = false WHERE delivery = $3 AND seq = $4", deadReason(l.Reason), micros(l.At), id, l.Seq)
		}
		batch.Queue("UPDATE deliveries SET delivered = delivered + $1 WHERE id = $2", gone.RowsAffected(), id)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		return countDead(ctx, tx, id)
	})
}

// Waiting implements store.Deliveries.
func (s *Store) Waiting(ctx context.Context, collection string, position, most int64) (int64, error) {
	var n int64
	err := s.look(ctx, s.bulk, "counting what waits", func(ctx context.Context, tx pgx.Tx) error {
		words, err := s.find(ctx, tx, collection)
		id, ok := words[collection]
		if err != nil || !ok {
			return err
		}
		return tx.QueryRow(ctx, "SELECT count(*) FROM (SELECT 1 FROM objects WHERE collection = $1 AND seq > $2 LIMIT $3) w", id, position, most).Scan(&n)
	})
	return n, err
}
