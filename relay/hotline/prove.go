// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// Prove proves a message of a direction, or the receipt for it, to anybody: what we said under
// the newest checkpoint of our journal, what the peer said under the one that came with it. peer
// is a trust domain or our name for the peer. The error wraps store.ErrNotFound for a message that is not
// here, or has no proof: no receipt yet, or older than the journal.
func (e *Engine) Prove(ctx context.Context, direction, peer, id string, receipt bool) (desk.MessageProof, error) {
	if l := e.line(peer); l != nil {
		peer = l.trustDomain
	}
	m, err := e.cfg.Store.GetMessage(ctx, store.Direction(direction), peer, id)
	if err != nil {
		return desk.MessageProof{}, fmt.Errorf("proving a message: %w", err)
	}
	us := e.cfg.Identity().TrustDomain()
	ours := (m.Direction == store.Out) != receipt
	var p desk.MessageProof
	err = e.cfg.Store.ReadLine(ctx, peer, func(r store.LineReader) (err error) {
		if ours {
			p, err = prove(r, journal.Origin(us, peer), &m)
		} else {
			p, err = proveTheirs(r, journal.Origin(peer, us), &m)
		}
		return err
	})
	if err != nil {
		return desk.MessageProof{}, fmt.Errorf("proving message %s: %w", oneLine(id), err)
	}
	return p, nil
}

// proveTheirs shows what the peer proved, and checks it as anybody would.
func proveTheirs(r store.LineReader, origin string, m *store.Message) (desk.MessageProof, error) {
	text, chain, err := r.Proof(m.Direction, m.ID)
	if err != nil {
		return desk.MessageProof{}, err
	}
	if len(text) == 0 {
		return desk.MessageProof{}, fmt.Errorf("the peer has proven nothing of it: %w", store.ErrNotFound)
	}
	proof, err := journal.ParseProof(text)
	if err != nil {
		return desk.MessageProof{}, err
	}
	if m.Direction == store.In {
		return shownProof(m, origin, proof, journal.Message, m.Payload, chain)
	}
	return shownProof(m, origin, proof, journal.Receipt, m.Receipt, chain)
}

// prove makes the proof of a message of ours, or of our receipt.
func prove(r store.LineReader, origin string, m *store.Message) (desk.MessageProof, error) {
	newest, _, err := r.Journal()
	if err != nil {
		return desk.MessageProof{}, err
	}
	index := m.Entry - 1
	kind, body := journal.Message, m.Payload
	if m.Direction == store.In {
		kind, body = journal.Receipt, m.Receipt
		if m.Entry == 0 {
			return desk.MessageProof{}, fmt.Errorf("its receipt is older than the journal: %w", store.ErrNotFound)
		}
	} else if m.Entry == 0 {
		if index, err = find(r, newest.Size, m); err != nil {
			return desk.MessageProof{}, err
		}
	}
	proof, err := journal.Prove(treeOf(newest), index, newest.Signed, plainHashes{r})
	if err != nil {
		return desk.MessageProof{}, err
	}
	return shownProof(m, origin, proof, kind, body, newest.Chain)
}

// shownProof checks a proof as anybody would, and writes it.
func shownProof(m *store.Message, origin string, proof journal.Proof, kind journal.Kind, body, der []byte) (desk.MessageProof, error) {
	chain, err := x509.ParseCertificates(der)
	if err != nil || len(chain) == 0 {
		return desk.MessageProof{}, errors.Join(errors.New("reading the chain of the checkpoint"), err)
	}
	key, _ := chain[0].PublicKey.(ed25519.PublicKey) // a key of another kind proves nothing
	if _, err := proof.Check(kind, body, origin, key); err != nil {
		return desk.MessageProof{}, fmt.Errorf("checking it, so verify the journal: %w", err)
	}
	verifier, err := journal.VerifierKey(origin, key)
	if err != nil {
		return desk.MessageProof{}, fmt.Errorf("writing the key: %w", err)
	}
	var text strings.Builder
	for _, c := range chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return desk.MessageProof{
		Peer: m.Peer, ID: m.ID, Origin: origin, Index: proof.Index, Kind: string(kind), Body: body,
		Proof: string(proof.Text()), Chain: text.String(), VerifierKey: verifier,
	}, nil
}

// find searches the entry of a message of ours: serials grow along the journal.
func find(r store.LineReader, size int64, m *store.Message) (int64, error) {
	for lo, hi := int64(0), size; lo < hi; {
		middle := lo + (hi-lo)/2
		index, serial, id, err := firstMessage(r, middle, hi)
		switch {
		case err != nil:
			return 0, err
		case id == m.ID:
			return index, nil
		case id == "" || serial > m.Serial:
			hi = middle
		default:
			lo = index + 1
		}
	}
	return 0, fmt.Errorf("it is older than the journal: %w", store.ErrNotFound)
}

// firstMessage returns the first entry within bounds that is a message; id is "" for none.
func firstMessage(r store.LineReader, from, to int64) (index, serial int64, id string, err error) {
	for at := from; at < to; {
		batches, err := r.JournalBatches(at, batchesAtOnce)
		if err != nil || len(batches) == 0 {
			return 0, 0, "", err
		}
		for _, b := range batches {
			for i, entry := range b.Entries {
				index := b.First + int64(i)
				if index < from || index >= to || journal.Kind(entry.Kind) != journal.Message {
					continue
				}
				p, err := decodeStored(entry.Body)
				return index, p.Serial, entry.Message, err
			}
			at = b.First + int64(len(b.Entries))
		}
	}
	return 0, 0, "", nil
}
