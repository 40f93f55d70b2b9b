// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// Recovery implements store.RecoveryReader.
func (r *lineReader) Recovery() (got store.Recovery, open bool, err error) {
	var since int64
	err = r.tx.QueryRowContext(r.ctx, "SELECT since, ours, messages, receipts FROM recoveries WHERE peer = ?", r.peer).
		Scan(&since, &got.Ours, &got.Messages, &got.Receipts)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Recovery{}, false, nil
	}
	got.Since = instant(since)
	return got, err == nil, err
}

// KeepRecovery implements store.RecoveryWriter.
func (l *lineTx) KeepRecovery(r store.Recovery) error {
	_, err := l.tx.ExecContext(l.ctx, "INSERT OR REPLACE INTO recoveries (peer, since, ours, messages, receipts) VALUES (?, ?, ?, ?, ?)",
		l.peer, micros(r.Since), r.Ours, r.Messages, r.Receipts)
	return err
}

// EndRecovery implements store.RecoveryWriter.
func (l *lineTx) EndRecovery() error {
	_, err := l.tx.ExecContext(l.ctx, "DELETE FROM recoveries WHERE peer = ?", l.peer)
	return err
}

const placesOf = `SELECT m.id, m.serial, m.conversation, EXISTS (SELECT 1 FROM queued AS q WHERE q.peer = m.peer AND q.urgency = m.urgency AND q.serial = m.serial)
	FROM messages AS m WHERE m.direction = 'out' AND m.peer = ? AND `

// PlacedAfter implements store.RecoveryReader.
func (r *lineReader) PlacedAfter(serial int64, limit int) ([]store.Placed, error) {
	return r.placed("m.serial > ? ORDER BY m.serial LIMIT ?", serial, limit)
}

// PlacedBefore implements store.RecoveryReader.
func (r *lineReader) PlacedBefore(serial int64, limit int) ([]store.Placed, error) {
	return r.placed("m.serial < ? ORDER BY m.serial DESC LIMIT ?", serial, limit)
}

func (r *lineReader) placed(which string, serial int64, limit int) (list []store.Placed, err error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("reading serials: %w", err)
	}
	rows, err := r.tx.QueryContext(r.ctx, placesOf+which, r.peer, serial, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p store.Placed
		if err := rows.Scan(&p.ID, &p.Serial, &p.Conversation, &p.Queued); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// Move implements store.LineTx.
func (l *lineTx) Move(id string, serial int64, compose func(old store.Message, serial int64) (store.Message, error)) (store.Message, error) {
	if err := l.rare(); err != nil {
		return store.Message{}, err
	}
	old, err := getMessage(l.ctx, l.tx, store.Out, l.peer, id)
	if err != nil {
		return store.Message{}, err
	}
	if err := l.mayTake(&old, serial); err != nil {
		return store.Message{}, err
	}
	m, err := compose(old, serial)
	if err != nil {
		return store.Message{}, err
	}
	if err := l.supersede(&old); err != nil {
		return store.Message{}, err
	}
	if err := l.renumber(id, serial); err != nil {
		return store.Message{}, err
	}
	l.s.checkpoints.wrote(messageWrite + int64(len(m.Payload)))
	_, err = l.tx.ExecContext(l.ctx, "UPDATE messages SET payload = ?, entry = ? WHERE direction = 'out' AND peer = ? AND id = ?",
		m.Payload, m.Entry, l.peer, id)
	return m, err
}

// mayTake refuses another serial to a message with a receipt, and one that is another message's.
func (l *lineTx) mayTake(m *store.Message, serial int64) error {
	var taken bool
	if err := l.tx.QueryRowContext(l.ctx, "SELECT EXISTS (SELECT 1 FROM messages WHERE direction = 'out' AND peer = ? AND serial = ? AND id <> ?)",
		l.peer, serial, m.ID).Scan(&taken); err != nil {
		return err
	}
	if taken || m.Receipt != nil {
		return fmt.Errorf("message %q has a receipt, or serial %d is another's: %w", m.ID, serial, store.ErrConflict)
	}
	return nil
}

// Reserve implements store.LineTx.
func (l *lineTx) Reserve(serial int64) error {
	if err := l.rare(); err != nil {
		return err
	}
	_, err := l.tx.ExecContext(l.ctx, `INSERT INTO lines (peer, out_serial) VALUES (?1, ?2) ON CONFLICT (peer) DO UPDATE
		SET out_serial = max(?2, (SELECT coalesce(max(serial), 0) FROM messages WHERE direction = 'out' AND peer = ?1))`, l.peer, serial)
	return err
}
