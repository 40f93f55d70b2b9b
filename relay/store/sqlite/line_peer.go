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

// keptNewest and keptDays are how many checkpoints of a peer stay: the newest, and the
// newest of each day.
const (
	keptNewest = 64
	keptDays   = 400
	dayMicros  = 24 * 60 * 60 * 1_000_000
)

// PeerCheckpoint implements store.LineReader.
func (r *lineReader) PeerCheckpoint() (store.Checkpoint, error) {
	c, era, err := scanCheckpoint(r.tx.QueryRowContext(r.ctx, lastPeerCheckpoint, r.peer, 0))
	if errors.Is(err, sql.ErrNoRows) {
		return store.Checkpoint{}, fmt.Errorf("checkpoint of %s: %w", r.peer, store.ErrNotFound)
	}
	c.Era = era
	return c, err
}

// PeerCheckpoints implements store.LineReader.
func (r *lineReader) PeerCheckpoints(from int64, limit int) (list []store.Checkpoint, err error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("reading checkpoints: %w", err)
	}
	rows, err := r.tx.QueryContext(r.ctx, peerCheckpoint+" ORDER BY p.id LIMIT ?3", r.peer, min(max(from, 0), 1<<sizeBits), limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c, era, err := scanCheckpoint(rows)
		if err != nil {
			return nil, err
		}
		c.Era = era
		list = append(list, c)
	}
	return list, rows.Err()
}

// Whole implements store.LineReader.
func (r *lineReader) Whole(d store.Direction) (serial int64, err error) {
	if d == store.Out {
		err = r.tx.QueryRowContext(r.ctx, `SELECT coalesce((SELECT min((SELECT min(serial) FROM queued WHERE peer = ?1 AND urgency = column1)) - 1 FROM (VALUES (0), (1), (2), (3), (4))),
			(SELECT max(serial) FROM messages WHERE peer = ?1 AND direction = 'out'), 0)`, r.peer).Scan(&serial)
		return serial, err
	}
	err = r.tx.QueryRowContext(r.ctx, `SELECT coalesce(min(serial), 0) FROM (SELECT 0 AS serial WHERE NOT EXISTS
			(SELECT 1 FROM messages WHERE direction = 'in' AND peer = ?1 AND serial = 1)
		UNION ALL SELECT * FROM (SELECT m.serial FROM messages AS m WHERE m.direction = 'in' AND m.peer = ?1 AND NOT EXISTS
			(SELECT 1 FROM messages AS n WHERE n.direction = 'in' AND n.peer = ?1 AND n.serial = m.serial + 1) ORDER BY m.serial LIMIT 1))`,
		r.peer).Scan(&serial)
	return serial, err
}

// After implements store.LineReader.
func (r *lineReader) After(d store.Direction, serial int64, limit int) ([]store.Message, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	var c clause
	c.add(fullMessage+" WHERE direction = ? AND peer = ? AND serial > ? ORDER BY serial LIMIT ?", d, r.peer, serial, limit)
	page, err := queryMessages(r.ctx, r.tx, &c, limit)
	return page.Messages, err
}

// Breaks implements store.LineReader.
func (r *lineReader) Breaks(ours bool) (list []store.Break, err error) {
	rows, err := r.tx.QueryContext(r.ctx, "SELECT at, old_size, size, note FROM journal_breaks WHERE peer = ? AND ours = ? ORDER BY at DESC LIMIT 16", r.peer, number(ours))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var b store.Break
		var at int64
		if err := rows.Scan(&at, &b.OldSize, &b.Size, &b.Note); err != nil {
			return nil, err
		}
		b.At = instant(at)
		list = append(list, b)
	}
	return list, rows.Err()
}

// BreakPeerJournal implements store.LineTx.
func (l *lineTx) BreakPeerJournal(b store.Break, c store.Checkpoint) error {
	if err := checkKept(l.peer, c.Size); err != nil {
		return err
	}
	k, err := l.keptOfPeer()
	if err != nil {
		return err
	}
	if err := errors.Join(l.writeArrived(), l.rare()); err != nil {
		return err
	}
	era := k.era + 1
	log, err := l.newEra(era)
	if err != nil {
		return err
	}
	c.At = l.s.now()
	if err := l.insertKept(log<<sizeBits+c.Size, c, nil, true); err != nil {
		return err
	}
	for _, statement := range forgetEras {
		if _, err := l.raw.ExecContext(l.ctx, statement, l.peer, era-store.KeptEras); err != nil {
			return err
		}
	}
	return l.broke(b, false)
}

// forgetEras let go of the checkpoints of eras up to one, but for what proves something.
var forgetEras = []string{
	"DELETE FROM evidence INDEXED BY evidence_alone WHERE alone = 1 AND id >> 40 IN (SELECT id FROM peer_logs WHERE peer = ?1 AND era <= ?2)",
	"DELETE FROM peer_logs WHERE peer = ?1 AND era <= ?2",
}

// BreakJournal implements store.LineTx.
func (l *lineTx) BreakJournal(b store.Break) error { return l.broke(b, true) }

// broke keeps a break, and lets go of the oldest but the first.
func (l *lineTx) broke(b store.Break, ours bool) error {
	if _, err := l.tx.ExecContext(l.ctx, "INSERT INTO journal_breaks (peer, ours, at, old_size, size, note) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		l.peer, number(ours), micros(b.At), b.OldSize, b.Size, append([]byte{}, b.Note...)); err != nil {
		return err
	}
	_, err := l.tx.ExecContext(l.ctx, `DELETE FROM journal_breaks WHERE peer = ?1 AND ours = ?2
		AND at <= (SELECT at FROM journal_breaks WHERE peer = ?1 AND ours = ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3)
		AND at > (SELECT min(at) FROM journal_breaks WHERE peer = ?1 AND ours = ?2)`, l.peer, number(ours), store.KeptBreaks)
	return err
}

// Restore implements store.LineTx.
func (l *lineTx) Restore(m store.Message) error {
	m.Direction, m.Peer = store.Out, l.peer
	if err := l.rare(); err != nil {
		return err
	}
	var taken bool
	if err := l.tx.QueryRowContext(l.ctx, `SELECT EXISTS (SELECT 1 FROM messages WHERE direction = 'out' AND peer = ?1 AND id = ?2)
		OR EXISTS (SELECT 1 FROM messages WHERE direction = 'out' AND peer = ?1 AND serial = ?3)`, l.peer, m.ID, m.Serial).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("message %q or serial %d is here: %w", m.ID, m.Serial, store.ErrConflict)
	}
	if m.StoredAt.IsZero() {
		m.StoredAt = l.s.now()
	}
	if _, err := l.tx.ExecContext(l.ctx, `INSERT INTO lines (peer, out_serial) VALUES (?1, ?2)
		ON CONFLICT (peer) DO UPDATE SET out_serial = max(out_serial, ?2)`, l.peer, m.Serial); err != nil {
		return err
	}
	if added, err := l.insertMessage(&m, "(direction, peer, id)"); err != nil || !added || m.Kind != kindACK {
		return err
	}
	return acknowledge(l.ctx, l.tx, store.In, &m)
}

// Replace implements store.LineTx.
func (l *lineTx) Replace(m store.Message) error {
	m.Direction, m.Peer = store.Out, l.peer
	if err := l.rare(); err != nil {
		return err
	}
	old, err := getMessage(l.ctx, l.tx, store.Out, l.peer, m.ID)
	if err != nil {
		return err
	}
	if err := l.mayTake(&old, m.Serial); err != nil {
		return err
	}
	if err := l.supersede(&old); err != nil {
		return err
	}
	var pos int64
	if err := l.tx.QueryRowContext(l.ctx, "DELETE FROM queued WHERE "+queuedOf+" RETURNING pos", l.peer, m.ID).Scan(&pos); err != nil {
		return fmt.Errorf("taking message %q out of the queue: %w", m.ID, err)
	}
	m.Urgency = urgency(m.Precedence)
	if _, err := l.tx.ExecContext(l.ctx, `UPDATE messages SET serial = ?, conversation = ?, kind = ?, precedence = ?, urgency = ?, in_reply_to = ?, payload = ?,
		created_at = ?, entry = ? WHERE pos = ?`, m.Serial, m.Conversation, m.Kind, m.Precedence, m.Urgency, m.InReplyTo, append([]byte{}, m.Payload...),
		micros(m.CreatedAt), m.Entry, pos); err != nil {
		return err
	}
	if err := l.settle(pos, &m); err != nil || m.Kind != kindACK {
		return err
	}
	return acknowledge(l.ctx, l.tx, store.In, &m)
}

// supersede keeps what the entry of a message of ours held.
func (l *lineTx) supersede(m *store.Message) error {
	if m.Entry == 0 {
		return nil
	}
	_, err := l.tx.ExecContext(l.ctx, "INSERT INTO superseded (peer, entry, id, payload) VALUES (?, ?, ?, ?)", l.peer, m.Entry, m.ID, m.Payload)
	return err
}

// Place implements store.LineTx.
func (l *lineTx) Place(d store.Direction, id string, entry int64) error {
	_, err := l.tx.ExecContext(l.ctx, "UPDATE messages SET entry = ? WHERE direction = ? AND peer = ? AND id = ?", entry, d, l.peer, id)
	return err
}

// signerChain stores a certificate chain once and returns its number, 0 for none.
func signerChain(ctx context.Context, tx querier, der []byte) (id int64, err error) {
	if len(der) == 0 {
		return 0, nil
	}
	err = tx.QueryRowContext(ctx, "SELECT id FROM signer_chains WHERE chain = ?", der).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx, "INSERT INTO signer_chains (chain) VALUES (?) RETURNING id", der).Scan(&id)
	}
	return id, err
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
