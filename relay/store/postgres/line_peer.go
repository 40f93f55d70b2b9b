// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// keptNewest and keptDays are how many checkpoints of a peer stay: the newest, and the
// newest of each day.
const (
	keptNewest = 64
	keptDays   = 400
	dayMicros  = 24 * 60 * 60 * 1_000_000
)

const peerCheckpoint = `SELECT p.size, p.root, p.signed, c.chain, p.stored_at, p.era FROM peer_checkpoints AS p JOIN signer_chains AS c ON c.id = p.chain
	WHERE p.peer = $1 AND p.era = (SELECT max(era) FROM peer_checkpoints WHERE peer = $1)`

// PeerCheckpoint implements store.LineReader.
func (r *lineReader) PeerCheckpoint() (store.Checkpoint, error) {
	c, era, err := scanCheckpoint(r.tx.QueryRow(r.ctx, peerCheckpoint+" ORDER BY p.size DESC LIMIT 1", r.peer))
	if errors.Is(err, pgx.ErrNoRows) {
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
	rows, err := r.tx.Query(r.ctx, peerCheckpoint+" AND p.size >= $2 ORDER BY p.size LIMIT $3", r.peer, from, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
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
		err = r.tx.QueryRow(r.ctx, `SELECT coalesce((SELECT min(serial) - 1 FROM messages WHERE peer = $1 AND direction = 'out' AND receipt IS NULL),
			(SELECT max(serial) FROM messages WHERE peer = $1 AND direction = 'out'), 0)`, r.peer).Scan(&serial)
		return serial, err
	}
	err = r.tx.QueryRow(r.ctx, `SELECT coalesce(min(serial), 0) FROM (SELECT 0::bigint AS serial WHERE NOT EXISTS
			(SELECT 1 FROM messages WHERE direction = 'in' AND peer = $1 AND serial = 1)
		UNION ALL SELECT * FROM (SELECT m.serial FROM messages AS m WHERE m.direction = 'in' AND m.peer = $1 AND NOT EXISTS
			(SELECT 1 FROM messages AS n WHERE n.direction = 'in' AND n.peer = $1 AND n.serial = m.serial + 1) ORDER BY m.serial LIMIT 1) AS held) AS ends`,
		r.peer).Scan(&serial)
	return serial, err
}

// After implements store.LineReader.
func (r *lineReader) After(d store.Direction, serial int64, limit int) ([]store.Message, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	c := &clause{}
	c.add(sized+" WHERE direction = ? AND peer = ? AND serial > ? ORDER BY serial LIMIT ?", string(d), r.peer, serial, limit)
	page, err := queryMessages(r.ctx, r.tx, c, "serial", limit)
	return page.Messages, err
}

// Breaks implements store.LineReader.
func (r *lineReader) Breaks(ours bool) (list []store.Break, err error) {
	rows, err := r.tx.Query(r.ctx, "SELECT at, old_size, size, note FROM journal_breaks WHERE peer = $1 AND ours = $2 ORDER BY at DESC LIMIT 16", r.peer, number(ours))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
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

// PutReceipts implements store.LineTx.
func (l *lineTx) PutReceipts(receipts ...store.Receipt) error {
	for i := range receipts {
		if err := l.putReceipt(&receipts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *lineTx) putReceipt(r *store.Receipt) error {
	if len(r.Body) == 0 {
		return errors.New("the receipt is empty")
	}
	if l.evidence.of != r.Proof.Of { // it is stored for a receipt that is not here yet
		if m, err := getMessage(l.ctx, l.tx, store.Out, l.peer, r.ID); err != nil || m.Receipt != nil {
			return err
		}
	}
	number, err := l.evidence.store(l.ctx, l.tx, r.Proof.Of)
	if err != nil {
		return err
	}
	done, err := l.tx.Exec(l.ctx, `UPDATE messages SET receipt = $1, receipt_at = $2, proof = $3, evidence = $4
		WHERE direction = 'out' AND peer = $5 AND id = $6 AND receipt IS NULL`, r.Body, micros(r.At), r.Proof.Pack(), number, l.peer, r.ID)
	if err != nil {
		return err
	}
	if done.RowsAffected() > 0 {
		l.s.exchange()
		return nil
	}
	_, err = getMessage(l.ctx, l.tx, store.Out, l.peer, r.ID)
	return err
}

// KeepPeerCheckpoint implements store.LineTx.
func (l *lineTx) KeepPeerCheckpoint(c store.Checkpoint) error {
	era, err := l.era()
	if err != nil {
		return err
	}
	var root []byte
	switch err := l.tx.QueryRow(l.ctx, "SELECT root FROM peer_checkpoints WHERE peer = $1 AND era = $2 AND size = $3", l.peer, era, c.Size).Scan(&root); {
	case err == nil && string(root) == string(c.Root[:]):
		return nil
	case err == nil:
		return fmt.Errorf("another checkpoint of %s at %d entries is kept: %w", l.peer, c.Size, store.ErrConflict)
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	if err := l.keep(era, c); err != nil {
		return err
	}
	return l.prune(era)
}

func (l *lineTx) era() (era int64, err error) {
	err = l.tx.QueryRow(l.ctx, "SELECT coalesce(max(era), 0) FROM peer_checkpoints WHERE peer = $1", l.peer).Scan(&era)
	return era, err
}

func (l *lineTx) keep(era int64, c store.Checkpoint) error {
	chain, err := signerChain(l.ctx, l.tx, c.Chain)
	if err != nil {
		return err
	}
	_, err = l.tx.Exec(l.ctx, "INSERT INTO peer_checkpoints (peer, era, size, root, signed, chain, stored_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		l.peer, era, c.Size, c.Root[:], c.Signed, chain, micros(l.s.now()))
	return err
}

// prune lets go of the checkpoint that has just become too old to stay, unless it is the
// newest of its day; and of the oldest of these.
func (l *lineTx) prune(era int64) error {
	var size, at int64
	err := l.tx.QueryRow(l.ctx, "SELECT size, stored_at FROM peer_checkpoints WHERE peer = $1 AND era = $2 ORDER BY size DESC LIMIT 1 OFFSET $3",
		l.peer, era, keptNewest).Scan(&size, &at)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	// Those below it are each the newest of their day already.
	if _, err := l.tx.Exec(l.ctx, `DELETE FROM peer_checkpoints WHERE peer = $1 AND era = $2 AND size = (
		SELECT max(size) FROM peer_checkpoints WHERE peer = $1 AND era = $2 AND size < $3) AND stored_at / $4 = $5 / $4`,
		l.peer, era, size, int64(dayMicros), at); err != nil {
		return err
	}
	_, err = l.tx.Exec(l.ctx, `DELETE FROM peer_checkpoints WHERE peer = $1 AND era = $2 AND size <= (
		SELECT size FROM peer_checkpoints WHERE peer = $1 AND era = $2 ORDER BY size DESC LIMIT 1 OFFSET $3)`, l.peer, era, keptNewest+keptDays)
	return err
}

// BreakPeerJournal implements store.LineTx.
func (l *lineTx) BreakPeerJournal(b store.Break, c store.Checkpoint) error {
	era, err := l.era()
	if err != nil {
		return err
	}
	if err := l.keep(era+1, c); err != nil {
		return err
	}
	if _, err := l.tx.Exec(l.ctx, "DELETE FROM peer_checkpoints WHERE peer = $1 AND era <= $2", l.peer, era+1-store.KeptEras); err != nil {
		return err
	}
	return l.broke(b, false)
}

// BreakJournal implements store.LineTx.
func (l *lineTx) BreakJournal(b store.Break) error { return l.broke(b, true) }

// broke keeps a break, and lets go of the oldest but the first.
func (l *lineTx) broke(b store.Break, ours bool) error {
	if _, err := l.tx.Exec(l.ctx, "INSERT INTO journal_breaks (peer, ours, at, old_size, size, note) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
		l.peer, number(ours), micros(b.At), b.OldSize, b.Size, append([]byte{}, b.Note...)); err != nil {
		return err
	}
	_, err := l.tx.Exec(l.ctx, `DELETE FROM journal_breaks WHERE peer = $1 AND ours = $2
		AND at <= (SELECT at FROM journal_breaks WHERE peer = $1 AND ours = $2 ORDER BY at DESC LIMIT 1 OFFSET $3)
		AND at > (SELECT min(at) FROM journal_breaks WHERE peer = $1 AND ours = $2)`, l.peer, number(ours), store.KeptBreaks)
	return err
}

// Restore implements store.LineTx.
func (l *lineTx) Restore(m store.Message) error {
	m.Direction, m.Peer = store.Out, l.peer
	var taken bool
	if err := l.tx.QueryRow(l.ctx, `SELECT EXISTS (SELECT 1 FROM messages WHERE direction = 'out' AND peer = $1 AND id = $2)
		OR EXISTS (SELECT 1 FROM messages WHERE direction = 'out' AND peer = $1 AND serial = $3)`, l.peer, m.ID, m.Serial).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("message %q or serial %d is here: %w", m.ID, m.Serial, store.ErrConflict)
	}
	if m.StoredAt.IsZero() {
		m.StoredAt = l.s.now()
	}
	if _, err := l.tx.Exec(l.ctx, `INSERT INTO lines (peer, out_serial) VALUES ($1, $2)
		ON CONFLICT (peer) DO UPDATE SET out_serial = greatest(lines.out_serial, $2)`, l.peer, m.Serial); err != nil {
		return err
	}
	if err := l.s.insertMessage(l.ctx, l.tx, &m, &l.evidence); err != nil || m.Kind != kindACK {
		return err
	}
	return acknowledge(l.ctx, l.tx, store.In, &m)
}

// Replace implements store.LineTx.
func (l *lineTx) Replace(m store.Message) error {
	m.Direction, m.Peer = store.Out, l.peer
	old, err := getMessage(l.ctx, l.tx, store.Out, l.peer, m.ID)
	if err != nil {
		return err
	}
	if err := l.mayTake(&old, m.Serial); err != nil {
		return err
	}
	number, err := l.evidence.store(l.ctx, l.tx, m.Proof.Of)
	if err != nil {
		return err
	}
	if err := l.supersede(&old); err != nil {
		return err
	}
	if _, err := l.tx.Exec(l.ctx, `UPDATE messages SET serial = $1, conversation = $2, kind = $3, precedence = $4, urgency = $5, in_reply_to = $6, payload = $7,
		created_at = $8, receipt = $9, receipt_at = $10, entry = $11, proof = $12, evidence = $13 WHERE direction = 'out' AND peer = $14 AND id = $15`,
		m.Serial, m.Conversation, m.Kind, m.Precedence, urgency(m.Precedence), m.InReplyTo, append([]byte{}, m.Payload...),
		micros(m.CreatedAt), m.Receipt, micros(m.ReceiptAt), m.Entry, m.Proof.Pack(), number, l.peer, m.ID); err != nil || m.Kind != kindACK {
		return err
	}
	return acknowledge(l.ctx, l.tx, store.In, &m)
}

// supersede keeps what the entry of a message of ours held.
func (l *lineTx) supersede(m *store.Message) error {
	if m.Entry == 0 {
		return nil
	}
	_, err := l.tx.Exec(l.ctx, "INSERT INTO superseded (peer, entry, id, payload) VALUES ($1, $2, $3, $4)", l.peer, m.Entry, m.ID, m.Payload)
	return err
}

// Place implements store.LineTx.
func (l *lineTx) Place(d store.Direction, id string, entry int64) error {
	_, err := l.tx.Exec(l.ctx, "UPDATE messages SET entry = $1 WHERE direction = $2 AND peer = $3 AND id = $4", entry, d, l.peer, id)
	return err
}

// signerChain stores a certificate chain once and returns its number, 0 for none.
func signerChain(ctx context.Context, tx pgx.Tx, der []byte) (id int64, err error) {
	if len(der) == 0 {
		return 0, nil
	}
	sum := sha256.Sum256(der)
	err = tx.QueryRow(ctx, "SELECT id FROM signer_chains WHERE hash = $1", sum[:]).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		// Two lines may do so at once: the second finds what the first has stored.
		err = tx.QueryRow(ctx, `INSERT INTO signer_chains (chain, hash) VALUES ($1, $2)
			ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash RETURNING id`, der, sum[:]).Scan(&id)
	}
	return id, err
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
