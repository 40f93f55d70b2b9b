// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// kindACK is the one kind of message that the store knows the meaning of.
const kindACK = "ACK"

// urgency orders precedences; one that we do not know comes last.
func urgency(precedence string) int {
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

// Enqueue implements store.Messages.
//
// One transaction: a crash before its commit leaves nothing, not even the
// serial; after it, everything.
func (s *Store) Enqueue(ctx context.Context, peer string, compose func(serial int64) (store.Message, error)) (m store.Message, err error) {
	err = s.change(ctx, hotline, "storing message", func(tx *transaction) error {
		l := s.plainTx(ctx, tx, peer)
		m, err = l.Enqueue(compose)
		return l.end(err)
	})
	if err != nil {
		return store.Message{}, err
	}
	return m, nil
}

// plainTx is a lineTx that knows nothing and of which nothing is remembered.
func (s *Store) plainTx(ctx context.Context, tx *transaction, peer string) *lineTx {
	l := s.newLineTx(ctx, peer)
	l.raw, l.state, l.shared = direct{l, tx}, &lineState{}, &sharedState{chains: map[string]int64{}}
	return l
}

// enqueue looks at everything before it writes: after a conflict nothing is done.
func (l *lineTx) enqueue(compose func(serial int64) (store.Message, error)) (store.Message, error) {
	ctx, tx, peer := l.ctx, l.tx, l.peer
	if err := l.readSerials(); err != nil {
		return store.Message{}, err
	}
	serial := l.state.serials.out + 1
	m, err := compose(serial)
	if err != nil {
		return store.Message{}, err
	}
	m.Direction, m.Peer, m.Serial, m.StoredAt = store.Out, peer, serial, l.s.now()
	m.Receipt, m.ReceiptAt, m.AcknowledgedBy, m.AcknowledgedAt = nil, time.Time{}, "", time.Time{}
	if m.Kind == kindACK {
		if err := l.mayAcknowledge(&m); err != nil {
			return store.Message{}, err
		}
	}
	files, err := findAttachments(ctx, tx, store.Out, peer, m.Attachments)
	if err != nil {
		return store.Message{}, l.conflictElse(&m, err)
	}
	switch added, err := l.insertMessage(&m, "(direction, peer, id)"); {
	case err != nil:
		return store.Message{}, err
	case !added:
		return store.Message{}, fmt.Errorf("message %s: %w", m.ID, store.ErrConflict)
	}
	l.state.serials.out, l.moved = serial, true
	if err := l.s.holdAttachments(ctx, tx, store.Out, peer, m.ID, files); err != nil {
		return store.Message{}, err
	}
	// Earlier messages of the conversation become as urgent as this one.
	if err := l.hurry(m.Conversation, m.Urgency); err != nil {
		return store.Message{}, err
	}
	if m.Kind != kindACK {
		return m, nil
	}
	return m, acknowledge(ctx, tx, store.In, &m)
}

// conflictElse is a conflict if the message is stored, else err.
func (l *lineTx) conflictElse(m *store.Message, err error) error {
	switch _, known := getMessage(l.ctx, l.tx, m.Direction, l.peer, m.ID); {
	case known == nil:
		return store.ErrConflict
	case !errors.Is(known, store.ErrNotFound):
		return known
	}
	return err
}

// mayAcknowledge refuses an ACK that is stored, or of a message that is not there or has one.
func (l *lineTx) mayAcknowledge(ack *store.Message) error {
	if err := l.conflictElse(ack, nil); err != nil {
		return err
	}
	acknowledged, err := getMessage(l.ctx, l.tx, store.In, l.peer, ack.InReplyTo)
	if err == nil && acknowledged.AcknowledgedBy != "" {
		return fmt.Errorf("message %s is acknowledged: %w", ack.InReplyTo, store.ErrConflict)
	}
	return err
}

// Accept implements store.Messages.
//
// One transaction: a crash before its commit leaves nothing, so the peer, which
// has no receipt, sends again; after it, the message and our receipt are there
// and what the peer sends again is a duplicate.
func (s *Store) Accept(ctx context.Context, m store.Message) (stored store.Message, duplicate bool, err error) {
	err = s.change(ctx, hotline, "accepting message", func(tx *transaction) error {
		l := s.plainTx(ctx, tx, m.Peer)
		stored, duplicate, err = l.Accept(m)
		return l.end(err)
	})
	if err != nil {
		return store.Message{}, false, err
	}
	return stored, duplicate, nil
}

// accept looks at everything before it writes: after a conflict nothing is done. What is
// stored already is found by storing it again, which costs nothing when it is new.
func (l *lineTx) accept(m store.Message) (stored store.Message, duplicate bool, err error) {
	if m.Serial < 1 {
		return store.Message{}, false, fmt.Errorf("serial %d is not positive", m.Serial)
	}
	ctx, tx := l.ctx, l.tx
	m.Direction, m.AcknowledgedBy, m.AcknowledgedAt = store.In, "", time.Time{}
	if m.StoredAt.IsZero() {
		m.StoredAt = l.s.now()
	}
	files, err := findAttachments(ctx, tx, store.In, m.Peer, m.Attachments)
	if err == nil {
		err = l.keepReserve()
	}
	if err == nil {
		err = l.readSerials()
	}
	if err != nil {
		return l.acceptedElse(&m, err)
	}
	switch added, err := l.insertMessage(&m, ""); {
	case err != nil:
		return store.Message{}, false, err
	case !added:
		return l.acceptedElse(&m, fmt.Errorf("serial %d of another message: %w", m.Serial, store.ErrConflict))
	}
	if err := l.s.holdAttachments(ctx, tx, store.In, m.Peer, m.ID, files); err != nil {
		return store.Message{}, false, err
	}
	l.state.serials.received(m.Serial)
	l.moved = true
	if m.Kind != kindACK {
		return m, false, nil
	}
	return m, false, acknowledge(ctx, tx, store.Out, &m)
}

// acceptedElse is the stored message if it is this very one, and a conflict if it is another
// with its id, or its serial; err if there is none.
func (l *lineTx) acceptedElse(m *store.Message, err error) (stored store.Message, duplicate bool, _ error) {
	switch stored, known := getMessage(l.ctx, l.tx, store.In, m.Peer, m.ID); {
	case known == nil && bytes.Equal(stored.Payload, m.Payload):
		return stored, true, nil
	case known == nil:
		return store.Message{}, false, fmt.Errorf("message %s: %w", m.ID, store.ErrConflict)
	case !errors.Is(known, store.ErrNotFound):
		return store.Message{}, false, known
	}
	var taken bool
	if known := l.tx.QueryRowContext(l.ctx, "SELECT EXISTS (SELECT 1 FROM messages WHERE direction = 'in' AND peer = ? AND serial = ?)",
		m.Peer, m.Serial).Scan(&taken); known != nil {
		return store.Message{}, false, known
	}
	if taken {
		return store.Message{}, false, fmt.Errorf("serial %d of another message: %w", m.Serial, store.ErrConflict)
	}
	return store.Message{}, false, err
}

// acknowledge marks the message that an ACK names, if there is one and it is not
// marked yet.
func acknowledge(ctx context.Context, tx querier, of store.Direction, ack *store.Message) error {
	_, err := tx.ExecContext(ctx, `UPDATE messages SET acknowledged_by = ?, acknowledged_at = ?
		WHERE direction = ? AND peer = ? AND id = ? AND acknowledged_by = '' AND kind <> ?`,
		ack.ID, micros(ack.CreatedAt), of, ack.Peer, ack.InReplyTo, kindACK)
	return err
}

// received are the columns that only a received message has in its row.
type received struct {
	receipt, proof      []byte
	receiptAt, evidence int64
}

func (l *lineTx) received(m *store.Message) (r received, err error) {
	if m.Direction == store.In {
		r = received{receipt: m.Receipt, proof: m.Proof.Pack(), receiptAt: micros(m.ReceiptAt)}
		r.evidence, err = l.evidenceID(m.Proof.Of)
	}
	return r, err
}

// inserted stores what does not stand in the row of a message, which has a position.
func (l *lineTx) inserted(pos int64, m *store.Message) error {
	if m.Direction == store.In {
		return l.storeEvidence(m.Proof.Of)
	}
	return l.settle(pos, m)
}

// insertMessage stores a message; its times become those that a reader gets. It is not added
// when one with the same unique columns is stored; all of them count if unique is empty.
func (l *lineTx) insertMessage(m *store.Message, unique string) (added bool, err error) {
	for _, t := range []*time.Time{&m.CreatedAt, &m.StoredAt, &m.ReceiptAt} {
		*t = instant(micros(*t))
	}
	m.Urgency = urgency(m.Precedence)
	row, err := l.received(m)
	if err != nil {
		return false, err
	}
	pos, err := l.insertRow(m, row, unique)
	if err != nil || pos == 0 {
		return false, err
	}
	l.s.exchange(messageWrite + int64(len(m.Payload)))
	if err := l.inserted(pos, m); err != nil {
		return false, err
	}
	m.Proof = store.Proof{}
	if err := mark(l.ctx, l.raw, pos, m); err != nil {
		return false, err
	}
	return true, awaitAnswer(l.ctx, l.raw, m)
}

// The columns of a message that are stored with it, in the order of messageValues: of ours, and of a received one.
const (
	outRow = `messages (direction, pos, peer, id, serial, conversation, kind, precedence, urgency,
		in_reply_to, payload, signed, created_at, stored_at, entry)`
	inRow = `messages (direction, pos, peer, id, serial, conversation, kind, precedence, urgency,
		in_reply_to, payload, signed, created_at, stored_at, entry, receipt, receipt_at, proof, evidence)`
	outColumns, inColumns = 14, 18
	insertOut             = "INSERT INTO " + outRow + " VALUES ('out', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
	insertIn              = "INSERT INTO " + inRow + " VALUES ('in', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
)

// insertOuts and insertIns are statements for 1, 2, 4 … messages.
var (
	insertOuts = insertsOf(outRow, outColumns, "'out',")
	insertIns  = insertsOf(inRow, inColumns, "'in',")
)

// messageValues appends the row of a message, whose position is nil if it has none yet.
func messageValues(values []any, pos any, m *store.Message, row *received) []any {
	payload := m.Payload
	if payload == nil {
		payload = []byte{}
	}
	values = append(values, pos, m.Peer, m.ID, m.Serial, m.Conversation, m.Kind, m.Precedence, int64(m.Urgency),
		m.InReplyTo, payload, m.Signed, micros(m.CreatedAt), micros(m.StoredAt), m.Entry)
	if m.Direction == store.In {
		values = append(values, row.receipt, row.receiptAt, row.proof, row.evidence)
	}
	return values
}

// insertRow returns the position of the row, 0 if none was added. That of a message that must be new
// is written later, together with others.
func (l *lineTx) insertRow(m *store.Message, row received, unique string) (pos int64, err error) {
	if l.isNew(m) {
		return l.collect(m, &row)
	}
	insert := insertOut
	if m.Direction == store.In {
		insert = insertIn
	}
	done, err := l.tx.ExecContext(l.ctx, insert+unique+" DO NOTHING", messageValues(nil, nil, m, &row)...)
	if err != nil {
		return 0, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return 0, err
	}
	pos, err = done.LastInsertId()
	l.shared.pos = pos
	return pos, err
}

// collect gives a message its position; its row is written later.
func (l *lineTx) collect(m *store.Message, row *received) (pos int64, err error) {
	c := &l.collected
	if len(c.out) >= mostRows*outColumns || len(c.in) >= mostRows*inColumns {
		if err := l.write(); err != nil {
			return 0, err
		}
	}
	if pos, err = l.nextPosition(); err != nil {
		return 0, err
	}
	if m.Direction == store.In {
		c.in = messageValues(c.in, pos, m, row)
	} else {
		c.out = messageValues(c.out, pos, m, row)
	}
	return pos, nil
}

// isNew notes the id of a message, and tells whether neither it nor the serial can be stored yet.
func (l *lineTx) isNew(m *store.Message) bool {
	news := l.s.ids.news(messageID{m.Direction, m.Peer, m.ID})
	return news && l.together && (m.Direction == store.Out || m.Serial > l.state.serials.in)
}

// nextPosition follows all that is stored and collected.
func (l *lineTx) nextPosition() (int64, error) {
	if l.shared.pos == 0 {
		if err := l.tx.QueryRowContext(l.ctx, "SELECT coalesce(max(pos), 0) FROM messages").Scan(&l.shared.pos); err != nil {
			return 0, err
		}
	}
	l.shared.pos++
	return l.shared.pos, nil
}
