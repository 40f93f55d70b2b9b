// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// evidence adds what proves a message to others: the receipt, and what the peer signed.
func (e *Engine) evidence(ctx context.Context, s *store.Message, m *desk.Message) error {
	m.Receipt = string(s.Receipt)
	proof, chain, err := e.proofOf(ctx, s.Direction, s.Peer, s.ID)
	if err != nil {
		return fmt.Errorf("showing message %s: %w", s.ID, err)
	}
	m.Proof, m.Chain = string(proof), inPEM(split(chain))
	return nil
}

// proofOf reads the proof of what the peer said; empty for a message that has none yet.
func (e *Engine) proofOf(ctx context.Context, d store.Direction, peer, id string) (proof, chain []byte, err error) {
	err = e.cfg.Store.ReadLine(ctx, peer, func(r store.LineReader) (err error) {
		proof, chain, err = r.Proof(d, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil
	}
	return proof, chain, err
}

func inPEM(chain [][]byte) string {
	var text strings.Builder
	for _, c := range chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c}))
	}
	return text.String()
}

// evidenceOf is what the proofs of a batch have in common.
func evidenceOf(o *wire.Opened) *store.Evidence {
	return &store.Evidence{Checkpoint: o.Checkpoint, Chain: joined(o.Chain), Hashes: o.Hashes}
}
