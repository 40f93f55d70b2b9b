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

// ChangeLine implements store.Lines.
//
// One transaction: a crash before its commit leaves nothing of what change did; after
// it, all.
func (s *Store) ChangeLine(ctx context.Context, peer string, change func(store.LineTx) error) error {
	var written []func()
	err := s.change(ctx, s.urgent, "changing line", func(ctx context.Context, tx pgx.Tx) error {
		if err := takeLine(ctx, tx, peer); err != nil {
			return err
		}
		l := &lineTx{lineReader: lineReader{ctx, tx, peer}, s: s}
		err := change(l)
		written = l.written
		return err
	})
	if err != nil {
		return err
	}
	// The server says so when it is on stable storage.
	for _, f := range written {
		f()
	}
	return nil
}

// ReadLine implements store.Lines.
func (s *Store) ReadLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	return s.look(ctx, s.urgent, "reading line", func(ctx context.Context, tx pgx.Tx) error {
		return read(&lineReader{ctx, tx, peer})
	})
}

// GlanceLine implements store.Lines: the server shows nothing that is not on stable storage.
func (s *Store) GlanceLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	return s.ReadLine(ctx, peer, read)
}

type lineReader struct {
	ctx  context.Context
	tx   pgx.Tx
	peer string
}

const ownCheckpoint = `SELECT j.size, j.root, j.signed, c.chain, j.stored_at, j.next_hash FROM journals AS j JOIN signer_chains AS c ON c.id = j.chain`

// Journal implements store.LineReader.
func (r *lineReader) Journal() (store.Checkpoint, int64, error) {
	c, hashes, err := scanCheckpoint(r.tx.QueryRow(r.ctx, ownCheckpoint+" WHERE j.peer = $1 ORDER BY j.size DESC LIMIT 1", r.peer))
	if errors.Is(err, pgx.ErrNoRows) {
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

// JournalHashes implements store.LineReader.
func (r *lineReader) JournalHashes(indexes []int64) ([]store.Hash, error) {
	out := make([]store.Hash, len(indexes))
	for i, index := range indexes {
		var hash []byte
		err := r.tx.QueryRow(r.ctx, `SELECT substring(hashes FROM (1 + 32 * ($1 - first_hash))::int FOR 32) FROM journals
			WHERE peer = $2 AND size > $1 / 2 AND first_hash <= $1 AND next_hash > $1 ORDER BY size LIMIT 1`, index, r.peer).Scan(&hash)
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && len(hash) != len(out[i]):
			return nil, fmt.Errorf("hash %d of the journal: %w", index, store.ErrNotFound)
		case err != nil:
			return nil, err
		}
		out[i] = store.Hash(hash)
	}
	return out, nil
}

// JournalBatches implements store.LineReader.
func (r *lineReader) JournalBatches(from int64, limit int) (batches []store.JournalBatch, err error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("reading journal: %w", err)
	}
	rows, err := r.tx.Query(r.ctx, `SELECT j.size, j.root, j.signed, c.chain, j.stored_at, j.next_hash, j.first, j.first_hash, j.entries, j.hashes
		FROM journals AS j JOIN signer_chains AS c ON c.id = j.chain WHERE j.peer = $1 AND j.size > $2 ORDER BY j.size LIMIT $3`, r.peer, from, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
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
	rows.Close()
	return batches, r.fill(batches)
}

// scanBatch reads a row; hidden columns come first, as scanCheckpoint wants them.
func scanBatch(rows pgx.Rows) (b store.JournalBatch, size int, err error) {
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
			err := r.tx.QueryRow(r.ctx, bodyOf(e), r.peer, e.Message, b.First+int64(i)+1).Scan(&e.Body)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
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
		return "SELECT receipt FROM messages WHERE direction = 'in' AND peer = $1 AND id = $2 AND entry = $3"
	}
	return `SELECT coalesce((SELECT payload FROM superseded WHERE peer = $1 AND entry = $3 AND id = $2),
		(SELECT payload FROM messages WHERE direction = 'out' AND peer = $1 AND id = $2 AND entry IN (0, $3)))`
}

type lineTx struct {
	lineReader
	s        *Store
	written  []func()
	evidence evidence
}

// Written implements store.LineTx.
func (l *lineTx) Written(f func()) { l.written = append(l.written, f) }

// Enqueue implements store.LineTx.
func (l *lineTx) Enqueue(compose func(serial int64) (store.Message, error)) (store.Message, error) {
	return l.s.enqueue(l.ctx, l.tx, l.peer, compose)
}

// Accept implements store.LineTx.
func (l *lineTx) Accept(m store.Message) (store.Message, bool, error) {
	m.Peer = l.peer
	return l.s.accept(l.ctx, l.tx, m, &l.evidence)
}

// Append implements store.LineTx.
func (l *lineTx) Append(b store.JournalBatch) error {
	newest, next, err := l.Journal()
	if err != nil {
		return err
	}
	if err := b.Check(newest.Size, next); err != nil {
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
	c := b.Checkpoint
	chain, err := signerChain(l.ctx, l.tx, c.Chain)
	if err != nil {
		return err
	}
	_, err = l.tx.Exec(l.ctx, `INSERT INTO journals (peer, size, first, first_hash, next_hash, entries, hashes, root, signed, chain, stored_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		l.peer, c.Size, b.First, b.FirstHash, b.FirstHash+int64(len(b.Hashes)), entries, hashes, c.Root[:], c.Signed, chain, micros(l.s.now()))
	return err
}
