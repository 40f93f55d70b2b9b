// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// AddSealKey implements store.Sealing.
func (s *Store) AddSealKey(ctx context.Context, k store.SealKey, since time.Time) (added bool, err error) {
	const doing = "storing a key of ours"
	if err := k.Check(); err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.change(ctx, hotline, doing, func(tx *transaction) error {
		var n, newer int
		if err := tx.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(created_at >= ?), 0) FROM seal_keys", micros(since)).Scan(&n, &newer); err != nil {
			return err
		}
		if newer > 0 {
			return nil
		}
		if n >= store.MaxSealKeys {
			return fmt.Errorf("there are %d already", n)
		}
		added = true
		_, err := tx.ExecContext(ctx, "INSERT INTO seal_keys (id, private, created_at) VALUES (?, ?, ?)", k.ID, k.Private, micros(k.CreatedAt))
		return err
	})
	return added && err == nil, err
}

// SealKeys implements store.Sealing.
func (s *Store) SealKeys(ctx context.Context) ([]store.SealKey, error) {
	var all []store.SealKey
	err := s.look(ctx, "reading keys of ours", func(tx *transaction) (err error) {
		rows, err := tx.QueryContext(ctx, "SELECT id, private, created_at FROM seal_keys ORDER BY created_at DESC, id")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var k store.SealKey
			var at int64
			if err := rows.Scan(&k.ID, &k.Private, &at); err != nil {
				return err
			}
			k.CreatedAt = instant(at)
			all = append(all, k)
		}
		return rows.Err()
	})
	return all, err
}

// DropSealKeys implements store.Sealing.
func (s *Store) DropSealKeys(ctx context.Context, before time.Time) (dropped int64, err error) {
	err = s.change(ctx, hotline, "deleting old keys of ours", func(tx *transaction) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM seal_keys WHERE created_at < ?
			AND id <> (SELECT id FROM seal_keys ORDER BY created_at DESC, id LIMIT 1)`, micros(before))
		if err != nil {
			return err
		}
		dropped, err = result.RowsAffected()
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
	return s.change(ctx, hotline, doing, func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO peer_seal_keys (peer, public, statement, learned_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (peer) DO UPDATE SET public = excluded.public, statement = excluded.statement, learned_at = excluded.learned_at`,
			k.Peer, k.Public, k.Statement, micros(k.LearnedAt))
		return err
	})
}

// PeerSealKeys implements store.Sealing.
func (s *Store) PeerSealKeys(ctx context.Context) ([]store.PeerSealKey, error) {
	var all []store.PeerSealKey
	err := s.look(ctx, "reading the keys of peers", func(tx *transaction) (err error) {
		rows, err := tx.QueryContext(ctx, "SELECT peer, public, statement, learned_at FROM peer_seal_keys ORDER BY peer")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var k store.PeerSealKey
			var at int64
			if err := rows.Scan(&k.Peer, &k.Public, &k.Statement, &at); err != nil {
				return err
			}
			k.LearnedAt = instant(at)
			all = append(all, k)
		}
		return rows.Err()
	})
	return all, err
}

// NoteTransit implements store.Sealing.
func (s *Store) NoteTransit(ctx context.Context, peer, id string, now, until time.Time) (fresh bool, err error) {
	const doing = "noting a request that came through others"
	if err := store.CheckTransitID(peer, id); err != nil {
		return false, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.change(ctx, hotline, doing, func(tx *transaction) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM transit_seen WHERE expires < ?", micros(now.Add(-store.TransitKept))); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, "INSERT INTO transit_seen (peer, id, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", peer, id, micros(until))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		fresh = n == 1
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
	return s.change(ctx, hotline, doing, func(tx *transaction) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM courier_answers WHERE peer = ? AND batch = ?", a.Peer, a.Batch); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO courier_answers (peer, batch, answer, at) VALUES (?, ?, ?, ?)", a.Peer, a.Batch, a.Answer, micros(a.At)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM courier_answers WHERE peer = ?1 AND seq <=
			(SELECT seq FROM courier_answers WHERE peer = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)`, a.Peer, store.MaxCourierAnswers)
		return err
	})
}

// CourierAnswers implements store.Sealing.
func (s *Store) CourierAnswers(ctx context.Context, peer string) ([]store.CourierAnswer, error) {
	var all []store.CourierAnswer
	err := s.look(ctx, "reading answers for a courier", func(tx *transaction) (err error) {
		rows, err := tx.QueryContext(ctx, "SELECT peer, batch, answer, at FROM courier_answers WHERE peer = ? ORDER BY seq", peer)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var a store.CourierAnswer
			var at int64
			if err := rows.Scan(&a.Peer, &a.Batch, &a.Answer, &at); err != nil {
				return err
			}
			a.At = instant(at)
			all = append(all, a)
		}
		return rows.Err()
	})
	return all, err
}

// DropCourierAnswers implements store.Sealing.
func (s *Store) DropCourierAnswers(ctx context.Context, peer string, batches []string) error {
	return s.change(ctx, hotline, "deleting answers that a peer has", func(tx *transaction) error {
		for _, batch := range batches {
			if _, err := tx.ExecContext(ctx, "DELETE FROM courier_answers WHERE peer = ? AND batch = ?", peer, batch); err != nil {
				return err
			}
		}
		return nil
	})
}
