// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// Proof implements store.LineReader.
func (r *lineReader) Proof(d store.Direction, id string) (proof, chain []byte, err error) {
	var evidence int64
	var of store.Evidence
	err = r.tx.QueryRowContext(r.ctx, `SELECT coalesce(r.evidence, m.evidence), coalesce(r.proof, m.proof), coalesce(c.chain, o.chain), e.checkpoint, e.hashes
		FROM messages AS m LEFT JOIN receipts AS r ON r.pos = m.pos AND m.direction = 'out'
		LEFT JOIN evidence AS e ON e.id = coalesce(r.evidence, m.evidence)
		LEFT JOIN signer_chains AS c ON c.id = e.chain LEFT JOIN signer_chains AS o ON o.id = m.proof_chain
		WHERE m.direction = ? AND m.peer = ? AND m.id = ?`, d, r.peer, id).Scan(&evidence, &proof, &chain, &of.Checkpoint, &of.Hashes)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil, fmt.Errorf("message %q: %w", id, store.ErrNotFound)
	case err != nil || evidence == 0 || len(proof) == 0:
		return proof, chain, err
	}
	proof, err = store.UnpackProof(proof, of)
	return proof, chain, err
}

// Proof implements store.LineReader.
func (l *lineTx) Proof(d store.Direction, id string) (proof, chain []byte, err error) {
	if err := l.writeArrived(); err != nil {
		return nil, nil, err
	}
	return l.lineReader.Proof(d, id)
}

// evidence is what proofs that a transaction stores have in common.
type evidence struct {
	// of has this number; it is stored with the first message that needs it.
	of     *store.Evidence
	id     int64
	stored bool
}

// evidenceID is the number that the evidence of a proof has or will have, 0 for none: that of the checkpoint
// that came with it, if that is kept.
func (l *lineTx) evidenceID(of *store.Evidence) (int64, error) {
	if of == nil {
		return 0, nil
	}
	if l.evidence.of == of {
		return l.evidence.id, nil
	}
	if l.arrived.is(of) {
		l.evidence = evidence{of: of, id: l.arrived.key}
		return l.evidence.id, nil
	}
	last := &l.shared.evidence
	if *last == 0 {
		if err := l.raw.QueryRowContext(l.ctx, "SELECT coalesce(max(id), 0) FROM evidence WHERE id <= ?", int64(largestOfPeer)).Scan(last); err != nil {
			return 0, err
		}
	}
	l.evidence = evidence{of: of, id: *last + 1}
	return l.evidence.id, nil
}

// storeEvidence stores what evidenceID has numbered last, once.
func (l *lineTx) storeEvidence(of *store.Evidence) error {
	if of == nil || l.evidence.stored {
		return nil
	}
	a, id := &l.arrived, l.evidence.id
	shared := id == a.key
	var err error
	switch {
	case shared && a.written:
		_, err = l.raw.ExecContext(l.ctx, "UPDATE evidence SET hashes = ?, alone = 0 WHERE id = ?", append([]byte{}, of.Hashes...), id)
	case shared:
		err = l.insertKept(id, a.c, of.Hashes, false)
	default:
		err = l.insertEvidence(id, of, nil, 0, 0)
	}
	if err != nil {
		return err
	}
	if l.evidence.stored = true; shared {
		a.written, a.used = true, true
		l.state.newestOfPeer.proves(a.c.Size)
	} else {
		l.shared.evidence = id
	}
	return nil
}

// insertEvidence adds evidence under a number; that of a checkpoint which is kept has a root, and the time at which it was stored.
func (l *lineTx) insertEvidence(id int64, of *store.Evidence, root []byte, at, alone int64) error {
	chain, err := l.chain(of.Chain)
	if err != nil {
		return err
	}
	_, err = l.raw.ExecContext(l.ctx, "INSERT INTO evidence (id, checkpoint, hashes, chain, root, stored_at, alone) VALUES (?, ?, ?, ?, ?, ?, ?)",
		id, append([]byte{}, of.Checkpoint...), append([]byte{}, of.Hashes...), chain, root, at, alone)
	return err
}

// PutReceipts implements store.LineTx.
func (l *lineTx) PutReceipts(receipts ...store.Receipt) error {
	ids := make([]string, len(receipts))
	for i := range receipts {
		if ids[i] = receipts[i].ID; len(receipts[i].Body) == 0 {
			return errors.New("the receipt is empty")
		}
	}
	waiting, err := l.unqueue(ids)
	if err != nil {
		return err
	}
	var rows []receiptRow
	for i := range receipts {
		r := &receipts[i]
		pos, waits := waiting[r.ID]
		if !waits { // it has a receipt, or is not here
			if _, err := getMessage(l.ctx, l.tx, store.Out, l.peer, r.ID); err != nil {
				return err
			}
			continue
		}
		delete(waiting, r.ID) // of two the first stays
		rows = append(rows, receiptRow{pos: pos, r: r})
	}
	return l.insertReceipts(rows...)
}

// receiptRow is the receipt of a message of ours that is not queued, by its position.
type receiptRow struct {
	pos int64
	r   *store.Receipt
}

const receiptColumns = 6

var insertReceipt = insertsOf("receipts (pos, peer, at, body, evidence, proof)", receiptColumns, "")

func (l *lineTx) insertReceipts(rows ...receiptRow) error {
	values := make([]any, 0, receiptColumns*len(rows))
	for i := range rows {
		r := rows[i].r
		number, err := l.evidenceID(r.Proof.Of)
		if err != nil {
			return err
		}
		if err := l.storeEvidence(r.Proof.Of); err != nil {
			return err
		}
		l.s.exchange(receiptWrite + int64(len(r.Body)))
		values = append(values, rows[i].pos, l.peer, micros(r.At), r.Body, number, r.Proof.Pack())
	}
	return l.insertRows(insertReceipt, receiptColumns, values)
}
