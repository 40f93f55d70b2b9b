// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// Recovery implements store.RecoveryReader.
func (r *lineReader) Recovery() (got store.Recovery, open bool, err error) {
	var since int64
	err = r.tx.QueryRow(r.ctx, "SELECT since, ours, messages, receipts FROM recoveries WHERE peer = $1", r.peer).
		Scan(&since, &got.Ours, &got.Messages, &got.Receipts)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Recovery{}, false, nil
	}
	got.Since = instant(since)
	return got, err == nil, err
}

// KeepRecovery implements store.RecoveryWriter.
func (l *lineTx) KeepRecovery(r store.Recovery) error {
	if _, err := l.tx.Exec(l.ctx, `INSERT INTO recoveries (peer, since, ours, messages, receipts) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (peer)
		DO UPDATE SET since = excluded.since, ours = excluded.ours, messages = excluded.messages, receipts = excluded.receipts`,
		l.peer, micros(r.Since), r.Ours, r.Messages, r.Receipts); err != nil {
		return err
	}
	return l.s.announce(l.ctx, l.tx, store.RecoveryTopic(l.peer))
}

// EndRecovery implements store.RecoveryWriter.
func (l *lineTx) EndRecovery() error {
	if _, err := l.tx.Exec(l.ctx, "DELETE FROM recoveries WHERE peer = $1", l.peer); err != nil {
		return err
	}
	return l.s.announce(l.ctx, l.tx, store.RecoveryTopic(l.peer))
}

const placesOf = "SELECT id, serial, conversation, receipt IS NULL FROM messages WHERE direction = 'out' AND peer = $1 AND "

// PlacedAfter implements store.RecoveryReader.
func (r *lineReader) PlacedAfter(serial int64, limit int) ([]store.Placed, error) {
	return r.placed("serial > $2 ORDER BY serial LIMIT $3", serial, limit)
}

// PlacedBefore implements store.RecoveryReader.
func (r *lineReader) PlacedBefore(serial int64, limit int) ([]store.Placed, error) {
	return r.placed("serial < $2 ORDER BY serial DESC LIMIT $3", serial, limit)
}

func (r *lineReader) placed(which string, serial int64, limit int) ([]store.Placed, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("reading serials: %w", err)
	}
	rows, err := r.tx.Query(r.ctx, placesOf+which, r.peer, serial, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p store.Placed, err error) {
		err = row.Scan(&p.ID, &p.Serial, &p.Conversation, &p.Queued)
		return p, err
	})
}

// Move implements store.LineTx.
func (l *lineTx) Move(id string, serial int64, compose func(old store.Message, serial int64) (store.Message, error)) (store.Message, error) {
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
	_, err = l.tx.Exec(l.ctx, "UPDATE messages SET serial = $1, payload = $2, entry = $3 WHERE direction = 'out' AND peer = $4 AND id = $5",
		serial, m.Payload, m.Entry, l.peer, id)
	return m, err
}

// mayTake refuses another serial to a message with a receipt, and one that is another message's.
func (l *lineTx) mayTake(m *store.Message, serial int64) error {
	var taken bool
	if err := l.tx.QueryRow(l.ctx, "SELECT EXISTS (SELECT 1 FROM messages WHERE direction = 'out' AND peer = $1 AND serial = $2 AND id <> $3)",
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
	_, err := l.tx.Exec(l.ctx, `INSERT INTO lines (peer, out_serial) VALUES ($1, $2) ON CONFLICT (peer) DO UPDATE
		SET out_serial = greatest($2, (SELECT coalesce(max(serial), 0) FROM messages WHERE direction = 'out' AND peer = $1))`, l.peer, serial)
	return err
}
