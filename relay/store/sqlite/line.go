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

// ChangeLine implements store.Lines.
//
// One transaction: a crash before its commit leaves nothing of what change did; after
// it, all.
func (s *Store) ChangeLine(ctx context.Context, peer string, change func(store.LineTx) error) error {
	// The driver starts a goroutine for each statement that can be cancelled. What is begun is
	// done soon: nothing in it waits but for the disk.
	l := s.newLineTx(context.WithoutCancel(ctx), peer)
	return s.changeThen(ctx, hotline, "changing line", func(tx *transaction) error {
		var err error
		if l.state, l.shared, err = s.lines.recall(l.ctx, tx, peer); err != nil {
			return err
		}
		l.raw, l.together = direct{l, tx}, true
		s.beginIDs(s.lines.version)
		if err := l.end(change(l)); err != nil {
			return err
		}
		l.remember()
		return nil
	}, l.written.call)
}

// ReadLine implements store.Lines.
func (s *Store) ReadLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	return s.look(ctx, "reading line", onLine(ctx, peer, read))
}

// GlanceLine implements store.Lines.
func (s *Store) GlanceLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	return s.glance(ctx, "reading line", onLine(ctx, peer, read))
}

func onLine(ctx context.Context, peer string, read func(store.LineReader) error) func(*transaction) error {
	return func(tx *transaction) error {
		return read(&lineReader{ctx: context.WithoutCancel(ctx), tx: tx, peer: peer})
	}
}

type lineReader struct {
	ctx  context.Context
	tx   querier
	peer string
}

type newest struct {
	checkpoint store.Checkpoint
	hashes     int64
}

// journalStart is the key before that of the first batch of our journal of the line ?1: keys are the number of the line, and
// below that the size of the log, so that one write appends to all. sizeOf is that size, and journalEnd the last key.
const (
	journalStart = `(SELECT id << 40 FROM journal_lines WHERE peer = ?1)`
	journalEnd   = journalStart + ` + 1099511627775`
	sizeOf       = `j.key & 1099511627775`
)

const newestBatch = `SELECT ` + sizeOf + `, j.root, j.signed, c.chain, j.stored_at, j.next_hash FROM journals AS j CROSS JOIN signer_chains AS c ON c.id = j.chain
	WHERE j.key > ` + journalStart + ` AND j.key <= ` + journalEnd + ` ORDER BY j.key DESC LIMIT 1`

// Journal implements store.LineReader.
func (r *lineReader) Journal() (store.Checkpoint, int64, error) {
	c, hashes, err := scanCheckpoint(r.tx.QueryRowContext(r.ctx, newestBatch, r.peer))
	if errors.Is(err, sql.ErrNoRows) {
		return store.Checkpoint{}, 0, nil
	}
	return c, hashes, err
}

func scanCheckpoint(row interface{ Scan(dest ...any) error }) (c store.Checkpoint, hashes int64, err error) {
	var root []byte
	var at int64
	if err := row.Scan(&c.Size, &root, &c.Signed, &c.Chain, &at, &hashes); err != nil {
		return store.Checkpoint{}, 0, err
	}
	if len(root) != len(c.Root) {
		return store.Checkpoint{}, 0, fmt.Errorf("the root of a checkpoint has %d bytes", len(root))
	}
	c.Root, c.At = store.Hash(root), instant(at)
	return c, hashes, nil
}

// journalHash selects a hash by its index. A log has at most two hashes for each entry, so the row is not before that
// of half the index; and with real logs, which have two less one for each bit of their size, it is that row or one of
// the next few.
const journalHash = `SELECT substr(hashes, 1 + 32 * (?2 - first_hash), 32) FROM journals
	WHERE key > ` + journalStart + ` + ?2 / 2 AND key <= ` + journalEnd + ` AND first_hash <= ?2 AND next_hash > ?2 ORDER BY key LIMIT 1`

// JournalHashes implements store.LineReader.
func (r *lineReader) JournalHashes(indexes []int64) ([]store.Hash, error) {
	out := make([]store.Hash, len(indexes))
	for i, index := range indexes {
		var hash []byte
		err := r.tx.QueryRowContext(r.ctx, journalHash, r.peer, index).Scan(&hash)
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && len(hash) != len(out[i]):
			return nil, fmt.Errorf("hash %d of the journal: %w", index, store.ErrNotFound)
		case err != nil:
			return nil, err
		}
		out[i] = store.Hash(hash)
	}
	return out, nil
}

const journalBatches = `SELECT ` + sizeOf + `, j.root, j.signed, c.chain, j.stored_at, j.next_hash, j.first, j.first_hash, j.entries, j.hashes
	FROM journals AS j CROSS JOIN signer_chains AS c ON c.id = j.chain WHERE j.key > ` + journalStart + ` + ?2 AND j.key <= ` + journalEnd + ` ORDER BY j.key LIMIT ?3`

// JournalBatches implements store.LineReader.
func (r *lineReader) JournalBatches(from int64, limit int) (batches []store.JournalBatch, err error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("reading journal: %w", err)
	}
	rows, err := r.tx.QueryContext(r.ctx, journalBatches, r.peer, max(from, 0), limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	size := 0
	for rows.Next() && size < store.MaxPageBytes {
		b, read, err := scanBatch(rows)
		if err != nil {
			return nil, err
		}
		size += read
		batches = append(batches, b)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return batches, r.fill(batches)
}

// scanBatch reads a row; hidden columns come first, as scanCheckpoint wants them.
func scanBatch(rows *sql.Rows) (b store.JournalBatch, size int, err error) {
	var root, entries, hashes []byte
	var at, next int64
	c := &b.Checkpoint
	if err := rows.Scan(&c.Size, &root, &c.Signed, &c.Chain, &at, &next, &b.First, &b.FirstHash, &entries, &hashes); err != nil {
		return b, 0, err
	}
	if len(root) != len(c.Root) || len(hashes)%len(c.Root) != 0 {
		return b, 0, fmt.Errorf("the journal's row of size %d is damaged", c.Size)
	}
	c.Root, c.At = store.Hash(root), instant(at)
	for i := 0; i < len(hashes); i += len(c.Root) {
		b.Hashes = append(b.Hashes, store.Hash(hashes[i:i+len(c.Root)]))
	}
	b.Entries, err = store.DecodeEntries(entries)
	return b, len(entries) + len(hashes), err
}

// fill puts what messages hold into the entries that stand for them. One that is gone
// leaves its entry empty: whoever compares hashes finds it.
func (r *lineReader) fill(batches []store.JournalBatch) error {
	for _, b := range batches {
		for i := range b.Entries {
			e := &b.Entries[i]
			if e.Message == "" {
				continue
			}
			err := r.tx.QueryRowContext(r.ctx, bodyOf(e), r.peer, e.Message, b.First+int64(i)+1).Scan(&e.Body)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
	}
	return nil
}

// bodyOf selects the body of an entry. That of a message is what was entered there, unless
// the message was stored by a release that did not note the place.
func bodyOf(e *store.JournalEntry) string {
	if e.Receipt() {
		return "SELECT receipt FROM messages WHERE direction = 'in' AND peer = ?1 AND id = ?2 AND entry = ?3"
	}
	return `SELECT coalesce((SELECT payload FROM superseded WHERE peer = ?1 AND entry = ?3 AND id = ?2),
		(SELECT payload FROM messages WHERE direction = 'out' AND peer = ?1 AND id = ?2 AND entry IN (0, ?3)))`
}

type lineTx struct {
	lineReader
	written written
	s       *Store
	// moved: messages were stored, so that the serials of the line are others.
	moved bool
	// state and shared are what is known of the line and of all; see lines. unfollowed: something
	// was done that the state does not follow.
	state      *lineState
	shared     *sharedState
	unfollowed bool
	// spacious: there is room for messages of the peer, as far as was looked.
	spacious bool
	evidence evidence
	arrived  arrived
	// queueRead: it was read how urgent the least urgent in the queue is.
	queueRead bool
	// raw is the transaction, for statements that neither see nor change messages and the queue: all
	// others run on tx, which writes what was collected before. together: messages may be collected.
	raw       direct
	together  bool
	collected collected
}

func (s *Store) newLineTx(ctx context.Context, peer string) *lineTx {
	l := &lineTx{lineReader: lineReader{ctx: ctx, peer: peer}, s: s}
	l.tx = ordered{l}
	return l
}

// Written implements store.LineTx.
func (l *lineTx) Written(f func()) { l.written = append(l.written, f) }

// written is what to call once a transaction is committed.
type written []func()

func (w *written) call() {
	for _, f := range *w {
		f()
	}
}

// Journal implements store.LineReader.
func (l *lineTx) Journal() (store.Checkpoint, int64, error) {
	if n := l.state.newest; n != nil {
		return n.checkpoint, n.hashes, nil
	}
	c, hashes, err := l.lineReader.Journal()
	if err == nil {
		l.state.newest = &newest{c, hashes}
	}
	return c, hashes, err
}

// Append implements store.LineTx.
func (l *lineTx) Append(b store.JournalBatch) error {
	before, next, err := l.Journal()
	if err != nil {
		return err
	}
	l.state.newest = nil
	if err := b.Check(before.Size, next); err != nil {
		return err
	}
	entries, err := store.EncodeEntries(b.Entries)
	if err != nil {
		return err
	}
	hashes := make([]byte, 0, len(b.Hashes)*len(store.Hash{}))
	for _, h := range b.Hashes {
		hashes = append(hashes, h[:]...)
	}
	c, now := b.Checkpoint, micros(l.s.now())
	end := b.FirstHash + int64(len(b.Hashes))
	chain, err := l.chain(c.Chain)
	if err != nil {
		return err
	}
	if before.Size == 0 {
		if _, err := l.raw.ExecContext(l.ctx, "INSERT INTO journal_lines (peer) VALUES (?) ON CONFLICT DO NOTHING", l.peer); err != nil {
			return err
		}
	}
	_, err = l.raw.ExecContext(l.ctx, "INSERT INTO journals (key, first, first_hash, next_hash, entries, hashes, root, signed, chain, stored_at) VALUES ("+
		journalStart+" + ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
		l.peer, c.Size, b.First, b.FirstHash, end, entries, hashes, c.Root[:], c.Signed, chain, now)
	if c.At = instant(now); err == nil && chain != 0 {
		l.state.newest = &newest{*detached(c), end}
	}
	return err
}
