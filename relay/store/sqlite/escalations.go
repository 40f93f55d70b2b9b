// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// awaitAnswer notes that a message of ours asks for an answer, and that a message answers or
// cancels others.
func awaitAnswer(ctx context.Context, tx querier, m *store.Message) error {
	for _, id := range store.Answers(m) {
		if _, err := tx.ExecContext(ctx, "DELETE FROM unanswered WHERE peer = ? AND id = ?", m.Peer, id); err != nil {
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
	_, err := tx.ExecContext(ctx, "INSERT INTO unanswered (peer, id, serial, kind, precedence, urgency, stored_at, answer_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		m.Peer, m.ID, m.Serial, m.Kind, m.Precedence, urgency(m.Precedence), micros(m.StoredAt), micros(by))
	return err
}

// list reads the rows of a query.
func list[T any](ctx context.Context, s *Store, doing string, scan func(row interface{ Scan(dest ...any) error }) (T, error), query string, args ...any) (found []T, err error) {
	err = s.look(ctx, doing, func(tx *transaction) (err error) {
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
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

// Unread implements store.Escalations.
func (s *Store) Unread(ctx context.Context, peer string, limit int) ([]store.Message, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing unread messages: %w", err)
	}
	return list(ctx, s, "listing unread messages", func(row interface{ Scan(dest ...any) error }) (store.Message, error) {
		_, m, err := scanMessage(row)
		return m, err
	}, lightMessage+` INDEXED BY messages_unanswered WHERE direction = 'in' AND peer = ? AND acknowledged_by = '' AND kind <> 'ACK' AND kind <> 'LINE_CHECK'
		ORDER BY urgency, serial LIMIT ?`, peer, limit)
}

// Unanswered implements store.Escalations.
func (s *Store) Unanswered(ctx context.Context, peer string, limit int) ([]store.Awaiting, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing unanswered messages: %w", err)
	}
	return list(ctx, s, "listing unanswered messages", func(row interface{ Scan(dest ...any) error }) (a store.Awaiting, err error) {
		var stored, by int64
		err = row.Scan(&a.ID, &a.Serial, &a.Kind, &a.Precedence, &stored, &by)
		a.Direction, a.Peer, a.StoredAt, a.AnswerBy = store.Out, peer, instant(stored), instant(by)
		return a, err
	}, "SELECT id, serial, kind, precedence, stored_at, answer_by FROM unanswered WHERE peer = ? ORDER BY urgency, serial LIMIT ?", peer, limit)
}

// IsUnanswered implements store.Escalations.
func (s *Store) IsUnanswered(ctx context.Context, peer, id string) (waits bool, err error) {
	err = s.look(ctx, "looking for an answer", func(tx *transaction) error {
		return tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM unanswered WHERE peer = ? AND id = ?)", peer, id).Scan(&waits)
	})
	return waits, err
}

// Arrived implements store.Escalations.
func (s *Store) Arrived(ctx context.Context, peer string, after int64, limit int) ([]store.Arrival, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing new messages: %w", err)
	}
	return list(ctx, s, "listing new messages", func(row interface{ Scan(dest ...any) error }) (a store.Arrival, err error) {
		a.Position, a.Message, err = scanMessage(row)
		return a, err
	}, lightMessage+" INDEXED BY messages_by_both WHERE direction = 'in' AND peer = ? AND pos > ? ORDER BY pos LIMIT ?", peer, after, limit)
}

// ArrivedBefore implements store.Escalations.
func (s *Store) ArrivedBefore(ctx context.Context, peer string, t time.Time) (position int64, err error) {
	err = s.look(ctx, "looking for the last message", func(tx *transaction) error {
		err := tx.QueryRowContext(ctx, `SELECT pos FROM messages INDEXED BY messages_by_both WHERE direction = 'in' AND peer = ? AND stored_at < ?
			ORDER BY pos DESC LIMIT 1`, peer, micros(t)).Scan(&position)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return position, err
}

// Announced implements store.Escalations.
func (s *Store) Announced(ctx context.Context, peer string) (position int64, known bool, err error) {
	err = s.look(ctx, "reading what was announced", func(tx *transaction) error {
		err := tx.QueryRowContext(ctx, "SELECT pos FROM announced WHERE peer = ?", peer).Scan(&position)
		if known = err == nil; errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return position, known, err
}

// SetAnnounced implements store.EscalationWriter.
func (l *lineTx) SetAnnounced(from, to int64) error {
	now := int64(-1)
	err := l.tx.QueryRowContext(l.ctx, "SELECT pos FROM announced WHERE peer = ?", l.peer).Scan(&now)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	case now != from:
		return fmt.Errorf("new messages of %s are announced up to %d, not %d: %w", l.peer, now, from, store.ErrConflict)
	case to < 0:
		_, err = l.tx.ExecContext(l.ctx, "DELETE FROM announced WHERE peer = ?", l.peer)
		return err
	}
	_, err = l.tx.ExecContext(l.ctx, "INSERT INTO announced (peer, pos) VALUES (?, ?) ON CONFLICT (peer) DO UPDATE SET pos = excluded.pos", l.peer, to)
	return err
}
