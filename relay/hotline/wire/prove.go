// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
)

// Prover adds entries of a log to a batch, with proofs under one state of the log. Hashes
// that several proofs need are sent once.
type Prover struct {
	batch  *Batch
	tree   tlog.Tree
	hashes journal.HashReader
	at     map[tlog.Hash]uint16
}

// NewProver proves under the state of the checkpoint that goes with the batch.
func NewProver(b *Batch, tree tlog.Tree, hashes journal.HashReader) *Prover {
	return &Prover{batch: b, tree: tree, hashes: hashes, at: map[tlog.Hash]uint16{}}
}

// Add adds the entry at an index.
func (p *Prover) Add(index int64, kind journal.Kind, body []byte) error {
	proof, err := journal.Prove(p.tree, index, nil, p.hashes)
	if err != nil {
		return err
	}
	e := Entry{Index: index, Kind: string(kind), Body: body, Path: make([]uint16, len(proof.Path))}
	for i, h := range proof.Path {
		at, ok := p.at[h]
		if !ok {
			at = uint16(len(p.batch.Hashes) / hashBytes) //nolint:gosec // at most maxHashes
			p.at[h] = at
			p.batch.Hashes = append(p.batch.Hashes, h[:]...)
		}
		e.Path[i] = at
	}
	p.batch.Entries = append(p.batch.Entries, e)
	return nil
}

// Alone is the proof of the entry at an index as C2SP tlog-proof has it.
func (p *Prover) Alone(index int64) ([]byte, error) {
	proof, err := journal.Prove(p.tree, index, p.batch.Checkpoint, p.hashes)
	if err != nil {
		return nil, err
	}
	return proof.Text(), nil
}

// Continue adds the proof that the state continues an older one of itself, given by size.
func (p *Prover) Continue(from int64) error {
	path, err := journal.ProveConsistent(from, p.tree, p.hashes)
	if err != nil || path == nil {
		return err
	}
	s := Step{From: from, Path: make([]byte, 0, len(path)*hashBytes)}
	for _, h := range path {
		s.Path = append(s.Path, h[:]...)
	}
	if len(p.batch.Steps) == MaxSteps {
		return fmt.Errorf("proving that %d entries continue %d: there are %d proofs already", p.tree.N, from, MaxSteps)
	}
	p.batch.Steps = append(p.batch.Steps, s)
	return nil
}
