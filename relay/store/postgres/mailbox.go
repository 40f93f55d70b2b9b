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

const (
	// head are the columns of a message without its content, body are those with it.
	head = "pos, direction, peer, id, serial, conversation, kind, precedence, in_reply_to, created_at, stored_at, receipt_at, acknowledged_by, acknowledged_at, entry, urgency"
	body = "payload, signed, receipt"
	// sized selects all, with the size that counts for a page.
	sized = "SELECT " + head + ", " + body + ", octet_length(payload) + coalesce(octet_length(signed), 0) + coalesce(octet_length(receipt), 0) AS size FROM messages"
)

// scanned is a message as its columns are read.
type scanned struct {
	store.Message
	pos                                    int64
	created, stored, receipt, acknowledged int64
}

func (m *scanned) head() []any {
	return []any{
		&m.pos, &m.Direction, &m.Peer, &m.ID, &m.Serial, &m.Conversation, &m.Kind, &m.Precedence, &m.InReplyTo,
		&m.created, &m.stored, &m.receipt, &m.AcknowledgedBy, &m.acknowledged, &m.Entry, &m.Urgency,
	}
}

func (m *scanned) whole() []any { return append(m.head(), &m.Payload, &m.Signed, &m.Receipt) }

// message is what was scanned; the next row gets memory of its own.
func (m *scanned) message() store.Message {
	got := m.Message
	got.CreatedAt, got.StoredAt = instant(m.created), instant(m.stored)
	got.ReceiptAt, got.AcknowledgedAt = instant(m.receipt), instant(m.acknowledged)
	m.Payload, m.Signed, m.Receipt = nil, nil, nil
	return got
}

func getMessage(ctx context.Context, tx pgx.Tx, d store.Direction, peer, id string) (store.Message, error) {
	var m scanned
	err := tx.QueryRow(ctx, "SELECT "+head+", "+body+" FROM messages WHERE direction = $1 AND peer = $2 AND id = $3", d, peer, id).Scan(m.whole()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Message{}, fmt.Errorf("message %q: %w", id, store.ErrNotFound)
	}
	return m.message(), err
}

// queryMessages reads messages until limit, or until they fill a page. position
// is the order of the statement, whose columns are those of sized.
func queryMessages(ctx context.Context, tx pgx.Tx, c *clause, position string, limit int) (page store.MessagePage, err error) {
	rows, err := tx.Query(ctx, fitting(c, position, "upto - size, "+head, "payload", "signed", "receipt"), c.args...)
	if err != nil {
		return store.MessagePage{}, err
	}
	var m scanned
	var before, last int64
	_, err = pgx.ForEachRow(rows, append([]any{&before}, m.whole()...), func() error {
		if len(page.Messages) == limit || before >= store.MaxPageBytes {
			page.Next = last
		}
		if page.Next == 0 {
			last = m.pos
			page.Messages = append(page.Messages, m.message())
		}
		return nil
	})
	if err != nil {
		return store.MessagePage{}, err
	}
	return page, nil
}

// GetMessage implements store.Messages.
func (s *Store) GetMessage(ctx context.Context, d store.Direction, peer, id string) (store.Message, error) {
	var m store.Message
	err := s.look(ctx, s.urgent, "reading message", func(ctx context.Context, tx pgx.Tx) (err error) {
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
	err := s.look(ctx, s.urgent, "listing messages", func(ctx context.Context, tx pgx.Tx) (err error) {
		page, err = queryMessages(ctx, tx, listMessages(q), "pos DESC", q.Limit)
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
	c := &clause{}
	c.add(sized+" WHERE peer = ? AND direction = 'out' AND receipt IS NULL", peer)
	if len(without) > 0 {
		c.add(" AND conversation <> ALL (?)", without)
	}
	c.add(" ORDER BY urgency, serial LIMIT ?", limit)
	var page store.MessagePage
	err := s.look(ctx, s.urgent, "listing queued messages", func(ctx context.Context, tx pgx.Tx) (err error) {
		page, err = queryMessages(ctx, tx, c, "urgency, serial", limit)
		return err
	})
	return page.Messages, err
}

// Outstanding implements store.Messages.
func (s *Store) Outstanding(ctx context.Context, peer string, limit int) (noReceipt, noAck []store.Message, err error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, nil, fmt.Errorf("listing outstanding messages: %w", err)
	}
	err = s.look(ctx, s.urgent, "listing outstanding messages", func(ctx context.Context, tx pgx.Tx) (err error) {
		if noReceipt, err = heads(ctx, tx, "direction = 'out' AND receipt IS NULL AND peer = $1 ORDER BY urgency, serial LIMIT $2", peer, limit); err != nil {
			return err
		}
		noAck, err = heads(ctx, tx, `direction = 'out' AND peer = $1 AND acknowledged_by = '' AND kind <> 'ACK' AND receipt IS NOT NULL
			ORDER BY urgency, serial LIMIT $2`, peer, limit)
		return err
	})
	return noReceipt, noAck, err
}

// heads reads messages without their content.
func heads(ctx context.Context, tx pgx.Tx, where string, args ...any) (found []store.Message, err error) {
	rows, err := tx.Query(ctx, "SELECT "+head+" FROM messages WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	var m scanned
	_, err = pgx.ForEachRow(rows, m.head(), func() error { found = append(found, m.message()); return nil })
	return found, err
}

// CountMessages implements store.Messages.
func (s *Store) CountMessages(ctx context.Context, peer string) (store.MessageCounts, error) {
	var counts store.MessageCounts
	err := s.look(ctx, s.urgent, "counting messages", func(ctx context.Context, tx pgx.Tx) error {
		var last int64
		err := tx.QueryRow(ctx, `SELECT
			(SELECT count(*) FROM messages WHERE peer = $1 AND direction = 'out' AND receipt IS NULL),
			(SELECT count(*) FROM messages WHERE direction = 'in' AND peer = $1 AND acknowledged_by = '' AND kind <> 'ACK' AND kind <> 'LINE_CHECK'),
			(SELECT coalesce(max(receipt_at), 0) FROM messages WHERE peer = $1 AND direction = 'out' AND receipt_at > 0),
			coalesce((SELECT in_serial - in_messages FROM lines WHERE peer = $1), 0)`, peer).
			Scan(&counts.Queued, &counts.Unacknowledged, &last, &counts.Gaps)
		counts.LastReceipt = instant(last)
		return err
	})
	return counts, err
}
