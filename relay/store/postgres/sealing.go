// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// AddSealKey implements store.Sealing. Replicas that add at once do so one after the
// other, and the second finds the first's.
func (s *Store) AddSealKey(ctx context.Context, k store.SealKey, since time.Time) (added bool, err error) {
	const doing = "storing a key of ours"
	if err := k.Check(); err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.change(ctx, s.urgent, doing, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "LOCK TABLE seal_keys IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
		var n, newer int
		if err := tx.QueryRow(ctx, "SELECT count(*), count(*) FILTER (WHERE created_at >= $1) FROM seal_keys", micros(since)).Scan(&n, &newer); err != nil {
			return err
		}
		if newer > 0 {
			return nil
		}
		if n >= store.MaxSealKeys {
			return fmt.Errorf("there are %d already", n)
		}
		added = true
		_, err := tx.Exec(ctx, "INSERT INTO seal_keys (id, private, created_at) VALUES ($1, $2, $3)", k.ID, k.Private, micros(k.CreatedAt))
		return err
	})
	return added && err == nil, err
}

// SealKeys implements store.Sealing.
func (s *Store) SealKeys(ctx context.Context) ([]store.SealKey, error) {
	var all []store.SealKey
	err := s.look(ctx, s.urgent, "reading keys of ours", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT id, private, created_at FROM seal_keys ORDER BY created_at DESC, id")
		if err != nil {
			return err
		}
		var k store.SealKey
		var at int64
		_, err = pgx.ForEachRow(rows, []any{&k.ID, &k.Private, &at}, func() error {
			k.CreatedAt = instant(at)
			all = append(all, k)
			k.Private = nil // the next row gets memory of its own
			return nil
		})
		return err
	})
	return all, err
}

// DropSealKeys implements store.Sealing.
func (s *Store) DropSealKeys(ctx context.Context, before time.Time) (dropped int64, err error) {
	err = s.change(ctx, s.urgent, "deleting old keys of ours", func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM seal_keys WHERE created_at < $1
			AND id <> (SELECT id FROM seal_keys ORDER BY created_at DESC, id LIMIT 1)`, micros(before))
		dropped = tag.RowsAffected()
		return err
	})
	return dropped, err
}

// PutPeerSealKey implements store.Sealing.
func (s *Store) PutPeerSealKey(ctx context.Context, k store.PeerSealKey) error {
	const doing = "storing the key of a peer"
	if err := k.Check(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return s.change(ctx, s.urgent, doing, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO peer_seal_keys (peer, public, statement, learned_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (peer) DO UPDATE SET public = excluded.public, statement = excluded.statement, learned_at = excluded.learned_at`,
			k.Peer, k.Public, k.Statement, micros(k.LearnedAt))
		return err
	})
}

// PeerSealKeys implements store.Sealing.
func (s *Store) PeerSealKeys(ctx context.Context) ([]store.PeerSealKey, error) {
	var all []store.PeerSealKey
	err := s.look(ctx, s.urgent, "reading the keys of peers", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT peer, public, statement, learned_at FROM peer_seal_keys ORDER BY peer")
		if err != nil {
			return err
		}
		var k store.PeerSealKey
		var at int64
		_, err = pgx.ForEachRow(rows, []any{&k.Peer, &k.Public, &k.Statement, &at}, func() error {
			k.LearnedAt = instant(at)
			all = append(all, k)
			k.Public, k.Statement = nil, nil // the next row gets memory of its own
			return nil
		})
		return err
	})
	return all, err
}

// NoteTransit implements store.Sealing.
func (s *Store) NoteTransit(ctx context.Context, peer, id string, now, until time.Time) (fresh bool, err error) {
	const doing = "noting a request that came through others"
	if err := store.CheckTransitID(peer, id); err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.change(ctx, s.urgent, doing, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM transit_seen WHERE expires < $1", micros(now.Add(-store.TransitKept))); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "INSERT INTO transit_seen (peer, id, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", peer, id, micros(until))
		fresh = tag.RowsAffected() == 1
		return err
	})
	return fresh && err == nil, err
}

// PutCourierAnswer implements store.Sealing.
func (s *Store) PutCourierAnswer(ctx context.Context, a store.CourierAnswer) error {
	const doing = "storing an answer for a courier"
	if err := a.Check(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return s.change(ctx, s.urgent, doing, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM courier_answers WHERE peer = $1 AND batch = $2", a.Peer, a.Batch); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO courier_answers (peer, batch, answer, at) VALUES ($1, $2, $3, $4)", a.Peer, a.Batch, a.Answer, micros(a.At)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM courier_answers WHERE peer = $1 AND seq <=
			(SELECT seq FROM courier_answers WHERE peer = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)`, a.Peer, store.MaxCourierAnswers)
		return err
	})
}

// CourierAnswers implements store.Sealing.
func (s *Store) CourierAnswers(ctx context.Context, peer string) ([]store.CourierAnswer, error) {
	var all []store.CourierAnswer
	err := s.look(ctx, s.urgent, "reading answers for a courier", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT peer, batch, answer, at FROM courier_answers WHERE peer = $1 ORDER BY seq", peer)
		if err != nil {
			return err
		}
		var a store.CourierAnswer
		var at int64
		_, err = pgx.ForEachRow(rows, []any{&a.Peer, &a.Batch, &a.Answer, &at}, func() error {
			a.At = instant(at)
			all = append(all, a)
			a.Answer = nil // the next row gets memory of its own
			return nil
		})
		return err
	})
	return all, err
}

// DropCourierAnswers implements store.Sealing.
func (s *Store) DropCourierAnswers(ctx context.Context, peer string, batches []string) error {
	return s.change(ctx, s.urgent, "deleting answers that a peer has", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM courier_answers WHERE peer = $1 AND batch = ANY ($2)", peer, batches)
		return err
	})
}
