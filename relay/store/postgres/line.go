// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// ChangeLine implements store.Lines.
//
// One transaction: a crash before its commit leaves nothing of what change did; after
// it, all.
func (s *Store) ChangeLine(ctx context.Context, peer string, change func(store.LineTx) error) error {
	return s.change(ctx, s.urgent, "changing line", func(ctx context.Context, tx pgx.Tx) error {
		if err := takeLine(ctx, tx, peer); err != nil {
			return err
		}
		return change(&lineTx{lineReader{ctx, tx, peer}, s})
	})
}

// ReadLine implements store.Lines.
func (s *Store) ReadLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	return s.look(ctx, s.urgent, "reading line", func(ctx context.Context, tx pgx.Tx) error {
		return read(&lineReader{ctx, tx, peer})
	})
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
			WHERE peer = $2 AND first_hash <= $1 AND next_hash > $1 ORDER BY first_hash DESC LIMIT 1`, index, r.peer).Scan(&hash)
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

// fill puts the payloads of messages into the entries that stand for them. One that is
// gone leaves its entry empty: whoever compares hashes finds it.
func (r *lineReader) fill(batches []store.JournalBatch) error {
	for _, b := range batches {
		for i := range b.Entries {
			e := &b.Entries[i]
			if e.Message == "" {
				continue
			}
			err := r.tx.QueryRow(r.ctx, "SELECT payload FROM messages WHERE direction = 'out' AND peer = $1 AND id = $2", r.peer, e.Message).Scan(&e.Body)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
	}
	return nil
}

const peerCheckpoint = `SELECT p.size, p.root, p.signed, c.chain, p.stored_at, 0::bigint FROM peer_checkpoints AS p JOIN signer_chains AS c ON c.id = p.chain`

// PeerCheckpoint implements store.LineReader.
func (r *lineReader) PeerCheckpoint() (store.Checkpoint, error) {
	c, _, err := scanCheckpoint(r.tx.QueryRow(r.ctx, peerCheckpoint+" WHERE p.peer = $1 ORDER BY p.size DESC LIMIT 1", r.peer))
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Checkpoint{}, fmt.Errorf("checkpoint of %s: %w", r.peer, store.ErrNotFound)
	}
	return c, err
}

// PeerCheckpoints implements store.LineReader.
func (r *lineReader) PeerCheckpoints(from int64, limit int) (list []store.Checkpoint, err error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("reading checkpoints: %w", err)
	}
	rows, err := r.tx.Query(r.ctx, peerCheckpoint+" WHERE p.peer = $1 AND p.size >= $2 ORDER BY p.size LIMIT $3", r.peer, from, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		c, _, err := scanCheckpoint(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

type lineTx struct {
	lineReader
	s *Store
}

// Enqueue implements store.LineTx.
func (l *lineTx) Enqueue(compose func(serial int64) (store.Message, error)) (store.Message, error) {
	return l.s.enqueue(l.ctx, l.tx, l.peer, compose)
}

// Accept implements store.LineTx.
func (l *lineTx) Accept(m store.Message) (store.Message, bool, error) {
	m.Peer = l.peer
	return l.s.accept(l.ctx, l.tx, m)
}

// PutReceipt implements store.LineTx.
func (l *lineTx) PutReceipt(id string, signed, receipt []byte, storedAt time.Time) error {
	return putReceipt(l.ctx, l.tx, l.peer, id, signed, receipt, storedAt)
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
	chain, err := l.chain(c.Chain)
	if err != nil {
		return err
	}
	_, err = l.tx.Exec(l.ctx, `INSERT INTO journals (peer, size, first, first_hash, next_hash, entries, hashes, root, signed, chain, stored_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		l.peer, c.Size, b.First, b.FirstHash, b.FirstHash+int64(len(b.Hashes)), entries, hashes, c.Root[:], c.Signed, chain, micros(l.s.now()))
	return err
}

// KeepPeerCheckpoint implements store.LineTx.
func (l *lineTx) KeepPeerCheckpoint(c store.Checkpoint) error {
	var root []byte
	switch err := l.tx.QueryRow(l.ctx, "SELECT root FROM peer_checkpoints WHERE peer = $1 AND size = $2", l.peer, c.Size).Scan(&root); {
	case err == nil && string(root) == string(c.Root[:]):
		return nil
	case err == nil:
		return fmt.Errorf("another checkpoint of %s at %d entries is kept: %w", l.peer, c.Size, store.ErrConflict)
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	chain, err := l.chain(c.Chain)
	if err != nil {
		return err
	}
	_, err = l.tx.Exec(l.ctx, "INSERT INTO peer_checkpoints (peer, size, root, signed, chain, stored_at) VALUES ($1, $2, $3, $4, $5, $6)",
		l.peer, c.Size, c.Root[:], c.Signed, chain, micros(l.s.now()))
	return err
}

// chain stores a certificate chain once and returns its number.
func (l *lineTx) chain(der []byte) (id int64, err error) {
	sum := sha256.Sum256(der)
	err = l.tx.QueryRow(l.ctx, "SELECT id FROM signer_chains WHERE hash = $1", sum[:]).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		// Two lines may do so at once: the second finds what the first has stored.
		err = l.tx.QueryRow(l.ctx, `INSERT INTO signer_chains (chain, hash) VALUES ($1, $2)
			ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash RETURNING id`, append([]byte{}, der...), sum[:]).Scan(&id)
	}
	return id, err
}
