// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// The columns of scanMessage; light leaves the content out, queued have no receipt. The receipt of a message
// of ours stands beside it, unless an earlier release stored it.
const (
	columns      = `SELECT m.pos, m.direction, m.peer, m.id, m.serial, m.conversation, m.kind, m.precedence, m.in_reply_to, m.created_at, m.stored_at, `
	more         = `, m.acknowledged_by, m.acknowledged_at, m.entry, m.urgency, `
	receiptAt    = `coalesce(nullif(m.receipt_at, 0), (SELECT r.at FROM receipts AS r WHERE r.pos = m.pos), 0)`
	receipt      = `coalesce(m.receipt, (SELECT r.body FROM receipts AS r WHERE r.pos = m.pos))`
	fullMessage  = columns + receiptAt + more + `m.payload, m.signed, ` + receipt + ` FROM messages AS m`
	lightMessage = columns + receiptAt + more + `NULL, NULL, NULL FROM messages AS m`
	inQueue      = ` FROM queued AS q CROSS JOIN messages AS m ON m.pos = q.pos WHERE q.peer = ?`
	fullQueued   = columns + `0` + more + `m.payload, m.signed, NULL` + inQueue
	lightQueued  = columns + `0` + more + `NULL, NULL, NULL` + inQueue
	queueOrder   = ` ORDER BY q.urgency, q.serial LIMIT ?`
	notInQueue   = ` AND NOT EXISTS (SELECT 1 FROM queued AS q WHERE q.peer = m.peer AND q.urgency = m.urgency AND q.serial = m.serial)`
)

func scanMessage(row interface{ Scan(dest ...any) error }) (pos int64, m store.Message, err error) {
	var created, stored, receipt, acknowledged int64
	err = row.Scan(&pos, &m.Direction, &m.Peer, &m.ID, &m.Serial, &m.Conversation, &m.Kind, &m.Precedence, &m.InReplyTo,
		&created, &stored, &receipt, &m.AcknowledgedBy, &acknowledged, &m.Entry, &m.Urgency, &m.Payload, &m.Signed, &m.Receipt)
	m.CreatedAt, m.StoredAt = instant(created), instant(stored)
	m.ReceiptAt, m.AcknowledgedAt = instant(receipt), instant(acknowledged)
	return pos, m, err
}

func getMessage(ctx context.Context, tx querier, d store.Direction, peer, id string) (store.Message, error) {
	_, m, err := scanMessage(tx.QueryRowContext(ctx, fullMessage+" WHERE direction = ? AND peer = ? AND id = ?", d, peer, id))
	if errors.Is(err, sql.ErrNoRows) {
		return store.Message{}, fmt.Errorf("message %q: %w", id, store.ErrNotFound)
	}
	return m, err
}

// queryMessages reads messages until limit, or until they fill a page.
func queryMessages(ctx context.Context, tx querier, c *clause, limit int) (page store.MessagePage, err error) {
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return store.MessagePage{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var last int64
	size := 0
	for rows.Next() {
		if len(page.Messages) == limit || size >= store.MaxPageBytes {
			page.Next = last
			return page, nil
		}
		pos, m, err := scanMessage(rows)
		if err != nil {
			return store.MessagePage{}, err
		}
		last = pos
		size += len(m.Payload) + len(m.Signed) + len(m.Receipt)
		page.Messages = append(page.Messages, m)
	}
	return page, rows.Err()
}

// GetMessage implements store.Messages.
func (s *Store) GetMessage(ctx context.Context, d store.Direction, peer, id string) (store.Message, error) {
	var m store.Message
	err := s.look(ctx, "reading message", func(tx *transaction) error {
		ctx := context.WithoutCancel(ctx) // it is short, see ChangeLine
		var err error
		m, err = getMessage(ctx, tx, d, peer, id)
		return err
	})
	return m, err
}

// ListMessages implements store.Messages.
func (s *Store) ListMessages(ctx context.Context, q store.MessageQuery) (store.MessagePage, error) {
	if err := checkLimit(q.Limit, store.MaxMessages); err != nil {
		return store.MessagePage{}, fmt.Errorf("listing messages: %w", err)
	}
	if q.Conversation != "" && q.Peer == "" {
		return store.MessagePage{}, errors.New("listing messages: a conversation needs a peer")
	}
	var page store.MessagePage
	err := s.look(ctx, "listing messages", func(tx *transaction) error {
		c := selectMessages(q)
		var err error
		page, err = queryMessages(ctx, tx, c, q.Limit)
		return err
	})
	return page, err
}

// Pending implements store.Messages.
func (s *Store) Pending(ctx context.Context, peer string, limit int, without ...string) ([]store.Message, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing queued messages: %w", err)
	}
	if len(without) > store.MaxSelectors {
		return nil, fmt.Errorf("listing queued messages: %d conversations are more than %d", len(without), store.MaxSelectors)
	}
	var page store.MessagePage
	err := s.glance(ctx, "listing queued messages", func(tx *transaction) error {
		ctx := context.WithoutCancel(ctx) // it is short, see ChangeLine
		var c clause
		c.add(fullQueued, peer)
		if len(without) > 0 {
			c.add(" AND m.conversation NOT")
			among(&c, without)
		}
		c.add(queueOrder, limit)
		var err error
		page, err = queryMessages(ctx, tx, &c, limit)
		return err
	})
	return page.Messages, err
}

// Outstanding implements store.Messages.
func (s *Store) Outstanding(ctx context.Context, peer string, limit int) (noReceipt, noAck []store.Message, err error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, nil, fmt.Errorf("listing outstanding messages: %w", err)
	}
	err = s.look(ctx, "listing outstanding messages", func(tx *transaction) error {
		ctx := context.WithoutCancel(ctx) // it is short, see ChangeLine
		var queued, unanswered clause
		queued.add(lightQueued+queueOrder, peer, limit)
		page, err := queryMessages(ctx, tx, &queued, limit)
		if err != nil {
			return err
		}
		noReceipt = page.Messages
		unanswered.add(lightMessage+` INDEXED BY messages_unanswered WHERE direction = 'out' AND peer = ? AND acknowledged_by = ''
			AND kind <> 'ACK'`+notInQueue+` ORDER BY urgency, serial LIMIT ?`, peer, limit)
		page, err = queryMessages(ctx, tx, &unanswered, limit)
		noAck = page.Messages
		return err
	})
	return noReceipt, noAck, err
}

// CountMessages implements store.Messages.
func (s *Store) CountMessages(ctx context.Context, peer string) (store.MessageCounts, error) {
	var counts store.MessageCounts
	err := s.look(ctx, "counting messages", func(tx *transaction) error {
		ctx := context.WithoutCancel(ctx) // it is short, see ChangeLine
		var last int64
		if err := tx.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM queued WHERE peer = ?1),
			(SELECT count(*) FROM messages INDEXED BY messages_unanswered WHERE direction = 'in' AND peer = ?1
				AND acknowledged_by = '' AND kind <> 'ACK' AND kind <> 'LINE_CHECK'),
			max(coalesce((SELECT max(at) FROM receipts WHERE peer = ?1), 0),
				coalesce((SELECT max(receipt_at) FROM messages WHERE direction = 'out' AND peer = ?1 AND receipt_at > 0), 0)),
			coalesce((SELECT in_serial - in_messages FROM lines WHERE peer = ?1), 0)`, peer).
			Scan(&counts.Queued, &counts.Unacknowledged, &last, &counts.Gaps); err != nil {
			return err
		}
		counts.LastReceipt = instant(last)
		return nil
	})
	return counts, err
}
