// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// kindACK is the one kind of message that the store knows the meaning of.
const kindACK = "ACK"

// urgency orders precedences; one that we do not know comes last.
func urgency(precedence string) int32 {
	switch precedence {
	case "FLASH":
		return 0
	case "IMMEDIATE":
		return 1
	case "PRIORITY":
		return 2
	case "ROUTINE":
		return 3
	default:
		return 4
	}
}

// takeLine locks the row of a peer, so that changes of its messages follow each other.
func takeLine(ctx context.Context, tx pgx.Tx, peer string) error {
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO lines (peer) VALUES ($1) ON CONFLICT DO NOTHING", peer)
	batch.Queue("SELECT 1 FROM lines WHERE peer = $1 FOR UPDATE", peer)
	return tx.SendBatch(ctx, batch).Close()
}

// Enqueue implements store.Messages.
//
// One transaction: a crash before its commit leaves nothing, not even the
// serial; after it, everything.
func (s *Store) Enqueue(ctx context.Context, peer string, compose func(serial int64) (store.Message, error)) (m store.Message, err error) {
	err = s.change(ctx, s.urgent, "storing message", func(ctx context.Context, tx pgx.Tx) error {
		if err := takeLine(ctx, tx, peer); err != nil {
			return err
		}
		m, err = s.enqueue(ctx, tx, peer, compose)
		return err
	})
	if err != nil {
		return store.Message{}, err
	}
	return m, nil
}

// enqueue looks at everything before it writes: after a conflict nothing is done. The
// line is taken.
func (s *Store) enqueue(ctx context.Context, tx pgx.Tx, peer string, compose func(serial int64) (store.Message, error)) (store.Message, error) {
	var serial int64
	if err := tx.QueryRow(ctx, "SELECT out_serial + 1 FROM lines WHERE peer = $1", peer).Scan(&serial); err != nil {
		return store.Message{}, err
	}
	m, err := compose(serial)
	if err != nil {
		return store.Message{}, err
	}
	m.Direction, m.Peer, m.Serial, m.StoredAt = store.Out, peer, serial, s.now()
	m.Receipt, m.ReceiptAt, m.AcknowledgedBy, m.AcknowledgedAt = nil, time.Time{}, "", time.Time{}
	switch _, err := getMessage(ctx, tx, store.Out, peer, m.ID); {
	case err == nil:
		return store.Message{}, store.ErrConflict
	case !errors.Is(err, store.ErrNotFound):
		return store.Message{}, err
	}
	if m.Kind == kindACK {
		switch acknowledged, err := getMessage(ctx, tx, store.In, peer, m.InReplyTo); {
		case err != nil:
			return store.Message{}, err
		case acknowledged.AcknowledgedBy != "":
			return store.Message{}, fmt.Errorf("message %s is acknowledged: %w", m.InReplyTo, store.ErrConflict)
		}
	}
	files, err := findAttachments(ctx, tx, store.Out, peer, m.Attachments)
	if err != nil {
		return store.Message{}, err
	}
	if _, err := tx.Exec(ctx, "UPDATE lines SET out_serial = $2 WHERE peer = $1", peer, serial); err != nil {
		return store.Message{}, err
	}
	if err := s.insertMessage(ctx, tx, &m, &evidence{}); err != nil {
		return store.Message{}, err
	}
	if err := s.holdAttachments(ctx, tx, store.Out, peer, m.ID, files); err != nil {
		return store.Message{}, err
	}
	// Earlier messages of the conversation become as urgent as this one.
	if _, err := tx.Exec(ctx, `UPDATE messages SET urgency = $1 WHERE peer = $2 AND conversation = $3
		AND direction = 'out' AND receipt IS NULL AND urgency > $1`, urgency(m.Precedence), peer, m.Conversation); err != nil {
		return store.Message{}, err
	}
	if err := s.announce(ctx, tx, store.HotlineTopic(peer)); err != nil || m.Kind != kindACK {
		return m, err
	}
	return m, acknowledge(ctx, tx, store.In, &m)
}

// Accept implements store.Messages.
//
// One transaction: a crash before its commit leaves nothing, so the peer, which
// has no receipt, sends again; after it, the message and our receipt are there
// and what the peer sends again is a duplicate.
func (s *Store) Accept(ctx context.Context, m store.Message) (stored store.Message, duplicate bool, err error) {
	err = s.change(ctx, s.urgent, "accepting message", func(ctx context.Context, tx pgx.Tx) error {
		if err := takeLine(ctx, tx, m.Peer); err != nil {
			return err
		}
		stored, duplicate, err = s.accept(ctx, tx, m, &evidence{})
		return err
	})
	if err != nil {
		return store.Message{}, false, err
	}
	return stored, duplicate, nil
}

// accept looks at everything before it writes: after a conflict nothing is done. The
// line is taken.
func (s *Store) accept(ctx context.Context, tx pgx.Tx, m store.Message, of *evidence) (stored store.Message, duplicate bool, err error) {
	if m.Serial < 1 {
		return store.Message{}, false, fmt.Errorf("serial %d is not positive", m.Serial)
	}
	m.Direction, m.AcknowledgedBy, m.AcknowledgedAt = store.In, "", time.Time{}
	if m.StoredAt.IsZero() {
		m.StoredAt = s.now()
	}
	switch stored, err = getMessage(ctx, tx, store.In, m.Peer, m.ID); {
	case err == nil && bytes.Equal(stored.Payload, m.Payload):
		return stored, true, nil
	case err == nil:
		return store.Message{}, false, fmt.Errorf("message %s: %w", m.ID, store.ErrConflict)
	case !errors.Is(err, store.ErrNotFound):
		return store.Message{}, false, err
	}
	if err := s.receive(ctx, tx, &m, of); err != nil || m.Kind != kindACK {
		return m, false, err
	}
	return m, false, acknowledge(ctx, tx, store.Out, &m)
}

// receive stores a received message that is new, under a serial that is.
func (s *Store) receive(ctx context.Context, tx pgx.Tx, m *store.Message, of *evidence) error {
	var taken bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM messages WHERE direction = 'in' AND peer = $1 AND serial = $2)",
		m.Peer, m.Serial).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("serial %d of another message: %w", m.Serial, store.ErrConflict)
	}
	files, err := findAttachments(ctx, tx, store.In, m.Peer, m.Attachments)
	if err != nil {
		return err
	}
	if err := s.insertMessage(ctx, tx, m, of); err != nil {
		return err
	}
	if err := s.holdAttachments(ctx, tx, store.In, m.Peer, m.ID, files); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE lines SET in_messages = in_messages + 1, in_serial = greatest(in_serial, $2) WHERE peer = $1", m.Peer, m.Serial)
	return err
}

// acknowledge marks the message that an ACK names, if there is one and it is not
// marked yet.
func acknowledge(ctx context.Context, tx pgx.Tx, of store.Direction, ack *store.Message) error {
	_, err := tx.Exec(ctx, `UPDATE messages SET acknowledged_by = $1, acknowledged_at = $2
		WHERE direction = $3 AND peer = $4 AND id = $5 AND acknowledged_by = '' AND kind <> $6`,
		ack.ID, micros(ack.CreatedAt), of, ack.Peer, ack.InReplyTo, kindACK)
	return err
}

// insertMessage stores a message; its times become those that a reader gets.
func (s *Store) insertMessage(ctx context.Context, tx pgx.Tx, m *store.Message, of *evidence) error {
	for _, t := range []*time.Time{&m.CreatedAt, &m.StoredAt, &m.ReceiptAt} {
		*t = instant(micros(*t))
	}
	m.Urgency = int(urgency(m.Precedence))
	s.exchange()
	number, err := of.store(ctx, tx, m.Proof.Of)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO messages (direction, peer, id, serial, conversation, kind, precedence, urgency,
		in_reply_to, payload, signed, created_at, stored_at, receipt, receipt_at, entry, proof, evidence)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		m.Direction, m.Peer, m.ID, m.Serial, m.Conversation, m.Kind, m.Precedence, urgency(m.Precedence),
		m.InReplyTo, append([]byte{}, m.Payload...), m.Signed, micros(m.CreatedAt), micros(m.StoredAt), m.Receipt, micros(m.ReceiptAt),
		m.Entry, m.Proof.Pack(), number)
	if err != nil {
		return err
	}
	m.Proof = store.Proof{}
	if err := mark(ctx, tx, m); err != nil {
		return err
	}
	return awaitAnswer(ctx, tx, m)
}
