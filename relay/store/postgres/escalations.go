// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// awaitAnswer notes that a message of ours asks for an answer, and that a message answers or
// cancels others.
func awaitAnswer(ctx context.Context, tx pgx.Tx, m *store.Message) error {
	for _, id := range store.Answers(m) {
		if _, err := tx.Exec(ctx, "DELETE FROM unanswered WHERE peer = $1 AND id = $2", m.Peer, id); err != nil {
			return err
		}
	}
	by, asks := time.Time{}, false
	if m.Direction == store.Out {
		by, asks = store.Asks(m)
	}
	if !asks {
		return nil
	}
	_, err := tx.Exec(ctx, "INSERT INTO unanswered (peer, id, serial, kind, precedence, urgency, stored_at, answer_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		m.Peer, m.ID, m.Serial, m.Kind, m.Precedence, urgency(m.Precedence), micros(m.StoredAt), micros(by))
	return err
}

// list reads the rows of a query.
func list[T any](ctx context.Context, s *Store, doing string, scan func(row pgx.Row) (T, error), query string, args ...any) (found []T, err error) {
	err = s.look(ctx, s.urgent, doing, func(ctx context.Context, tx pgx.Tx) (err error) {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		found = nil // it may run again
		for rows.Next() {
			one, err := scan(rows)
			if err != nil {
				return err
			}
			found = append(found, one)
		}
		return rows.Err()
	})
	return found, err
}

func scanHead(row pgx.Row) (store.Message, error) {
	var m scanned
	err := row.Scan(m.head()...)
	return m.message(), err
}

// Unread implements store.Escalations.
func (s *Store) Unread(ctx context.Context, peer string, limit int) ([]store.Message, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing unread messages: %w", err)
	}
	return list(ctx, s, "listing unread messages", scanHead, "SELECT "+head+` FROM messages WHERE direction = 'in' AND peer = $1 AND acknowledged_by = '' AND kind <> 'ACK' AND kind <> 'LINE_CHECK'
		ORDER BY urgency, serial LIMIT $2`, peer, limit)
}

// Unanswered implements store.Escalations.
func (s *Store) Unanswered(ctx context.Context, peer string, limit int) ([]store.Awaiting, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing unanswered messages: %w", err)
	}
	return list(ctx, s, "listing unanswered messages", func(row pgx.Row) (a store.Awaiting, err error) {
		var stored, by int64
		err = row.Scan(&a.ID, &a.Serial, &a.Kind, &a.Precedence, &stored, &by)
		a.Direction, a.Peer, a.StoredAt, a.AnswerBy = store.Out, peer, instant(stored), instant(by)
		return a, err
	}, "SELECT id, serial, kind, precedence, stored_at, answer_by FROM unanswered WHERE peer = $1 ORDER BY urgency, serial LIMIT $2", peer, limit)
}

// IsUnanswered implements store.Escalations.
func (s *Store) IsUnanswered(ctx context.Context, peer, id string) (waits bool, err error) {
	err = s.look(ctx, s.urgent, "looking for an answer", func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM unanswered WHERE peer = $1 AND id = $2)", peer, id).Scan(&waits)
	})
	return waits, err
}

// Arrived implements store.Escalations.
func (s *Store) Arrived(ctx context.Context, peer string, after int64, limit int) ([]store.Arrival, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing new messages: %w", err)
	}
	return list(ctx, s, "listing new messages", func(row pgx.Row) (store.Arrival, error) {
		var m scanned
		err := row.Scan(m.head()...)
		return store.Arrival{Message: m.message(), Position: m.pos}, err
	}, "SELECT "+head+" FROM messages WHERE direction = 'in' AND peer = $1 AND pos > $2 ORDER BY pos LIMIT $3", peer, after, limit)
}

// ArrivedBefore implements store.Escalations.
func (s *Store) ArrivedBefore(ctx context.Context, peer string, t time.Time) (position int64, err error) {
	err = s.look(ctx, s.urgent, "looking for the last message", func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT pos FROM messages WHERE direction = 'in' AND peer = $1 AND stored_at < $2
			ORDER BY pos DESC LIMIT 1`, peer, micros(t)).Scan(&position)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return position, err
}

// Announced implements store.Escalations.
func (s *Store) Announced(ctx context.Context, peer string) (position int64, known bool, err error) {
	err = s.look(ctx, s.urgent, "reading what was announced", func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, "SELECT pos FROM announced WHERE peer = $1", peer).Scan(&position)
		if known = err == nil; errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return position, known, err
}

// SetAnnounced implements store.EscalationWriter.
func (l *lineTx) SetAnnounced(from, to int64) error {
	now := int64(-1)
	err := l.tx.QueryRow(l.ctx, "SELECT pos FROM announced WHERE peer = $1", l.peer).Scan(&now)
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return err
	case now != from:
		return fmt.Errorf("new messages of %s are announced up to %d, not %d: %w", l.peer, now, from, store.ErrConflict)
	case to < 0:
		_, err = l.tx.Exec(l.ctx, "DELETE FROM announced WHERE peer = $1", l.peer)
		return err
	}
	_, err = l.tx.Exec(l.ctx, "INSERT INTO announced (peer, pos) VALUES ($1, $2) ON CONFLICT (peer) DO UPDATE SET pos = excluded.pos", l.peer, to)
	return err
}
