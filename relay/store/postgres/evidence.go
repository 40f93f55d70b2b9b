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

// Proof implements store.LineReader.
func (r *lineReader) Proof(d store.Direction, id string) (proof, chain []byte, err error) {
	var evidence int64
	var of store.Evidence
	err = r.tx.QueryRow(r.ctx, `SELECT m.evidence, m.proof, coalesce(c.chain, o.chain), e.checkpoint, e.hashes
		FROM messages AS m LEFT JOIN evidence AS e ON e.id = m.evidence
		LEFT JOIN signer_chains AS c ON c.id = e.chain LEFT JOIN signer_chains AS o ON o.id = m.proof_chain
		WHERE m.direction = $1 AND m.peer = $2 AND m.id = $3`, d, r.peer, id).Scan(&evidence, &proof, &chain, &of.Checkpoint, &of.Hashes)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil, fmt.Errorf("message %q: %w", id, store.ErrNotFound)
	case err != nil || evidence == 0 || len(proof) == 0:
		return proof, chain, err
	}
	proof, err = store.UnpackProof(proof, of)
	return proof, chain, err
}

// evidence is what the proofs that a transaction stores have in common: of is stored under this number.
type evidence struct {
	of     *store.Evidence
	number int64
}

// store stores the evidence of a proof, once for all that follow each other, and returns its number, 0 for none.
func (e *evidence) store(ctx context.Context, tx pgx.Tx, of *store.Evidence) (int64, error) {
	if of == nil {
		return 0, nil
	}
	if e.of == of {
		return e.number, nil
	}
	chain, err := signerChain(ctx, tx, of.Chain)
	if err != nil {
		return 0, err
	}
	var number int64
	if err := tx.QueryRow(ctx, "INSERT INTO evidence (checkpoint, hashes, chain) VALUES ($1, $2, $3) RETURNING id",
		append([]byte{}, of.Checkpoint...), append([]byte{}, of.Hashes...), chain).Scan(&number); err != nil {
		return 0, err
	}
	e.of, e.number = of, number
	return number, nil
}
