// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// Bounds of what is given back at once.
const (
	copiesAtOnce  = 100
	maxCopyBytes  = 3 << 20
	copyOverheads = 16 << 10
)

// giveBack answers a peer whose database was set back: its messages as we hold them, and our
// receipted ones, each with what proves it, and the newest checkpoint of its journal.
func (l *line) giveBack(ctx context.Context, asked *wire.Opened) ([]byte, error) {
	b, prover, err := l.begin(ctx, 0, 0)
	if err != nil {
		return nil, err
	}
	d, after := store.Out, asked.Want.Theirs
	if after < 0 {
		d, after = store.In, asked.Want.Ours
	}
	err = l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) error {
		c, err := heldOf(r)
		if err != nil {
			return err
		}
		b.Shown, b.ShownChain = c.Signed, split(c.Chain)
		if after < 0 {
			return nil
		}
		list, err := r.After(d, after, copiesAtOnce)
		if err != nil {
			return err
		}
		size := 0
		for i := range list {
			if size += len(list[i].Payload) + copyOverheads; size > maxCopyBytes && i > 0 {
				break
			}
			if err := l.addCopy(r, b, prover, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("giving back messages: %w", err)
	}
	l.engine.cfg.Log.WarnContext(ctx, "the peer's database was set back: it gets back what we hold of it", "peer", l.trustDomain, "messages", len(b.Copies))
	return b.Encode()
}

// addCopy adds a message that has a receipt and proofs of both.
func (l *line) addCopy(r store.LineReader, b *wire.Batch, prover *wire.Prover, m *store.Message) error {
	if m.Receipt == nil || m.Entry == 0 {
		return nil
	}
	proof, chain, err := r.Proof(m.Direction, m.ID)
	if err != nil || len(proof) == 0 {
		return err
	}
	own, err := prover.Alone(m.Entry - 1)
	if err != nil {
		return err
	}
	c := wire.Copy{Message: m.Payload, Receipt: m.Receipt}
	if m.Direction == store.In {
		c.MessageProof, c.MessageChain, c.ReceiptProof = proof, split(chain), own
	} else {
		c.MessageProof, c.ReceiptProof, c.ReceiptChain = own, proof, split(chain)
	}
	b.Copies = append(b.Copies, c)
	return nil
}

// takeBack verifies a copy and stores it, if it is not here. What we said ourselves is under
// a checkpoint that we signed; what the peer said under the one that it shows now.
func (l *line) takeBack(ctx context.Context, o *wire.Opened, c *wire.Copy, want *wire.Want, got *continuation) error {
	p, err := message.Decode(c.Message)
	if err != nil {
		return &receiptError{err: err}
	}
	ours := p.From == l.engine.cfg.Identity().TrustDomain()
	m := store.Message{
		Direction: store.In, Peer: l.trustDomain, ID: p.ID, Serial: p.Serial, Conversation: p.Conversation, Kind: string(p.Kind),
		Precedence: p.Precedence, InReplyTo: p.InReplyTo, Payload: c.Message, CreatedAt: p.CreatedAt, Receipt: c.Receipt,
	}
	if ours {
		m.Direction = store.Out
	}
	if err := l.verifyCopy(o, c, &m); err != nil {
		return &receiptError{err: fmt.Errorf("message %s that the peer gives back: %w", oneLine(p.ID), err)}
	}
	if ours {
		want.Ours, m.Proof, m.ProofChain = p.Serial, c.ReceiptProof, joined(o.Chain)
		return l.restore(ctx, &m, got)
	}
	want.Theirs, m.Proof, m.ProofChain = p.Serial, c.MessageProof, joined(o.Chain)
	return l.acceptBack(ctx, &m, got)
}

// verifyCopy checks both proofs, and that the receipt is for the message.
func (l *line) verifyCopy(o *wire.Opened, c *wire.Copy, m *store.Message) error {
	r, err := readReceipt(c.Receipt)
	if err != nil {
		return err
	}
	if err := compareReceipt(r, m, l.engine.cfg.Identity().TrustDomain()); err != nil {
		return err
	}
	m.ReceiptAt, m.StoredAt = r.StoredAt, r.StoredAt
	own, ownKind, ownBody, ownChain := c.MessageProof, journal.Message, c.Message, c.MessageChain
	other, otherKind, otherBody := c.ReceiptProof, journal.Receipt, c.Receipt
	if m.Direction == store.In {
		own, ownKind, ownBody, ownChain = c.ReceiptProof, journal.Receipt, c.Receipt, c.ReceiptChain
		other, otherKind, otherBody = c.MessageProof, journal.Message, c.Message
	}
	proof, err := journal.ParseProof(own)
	if err != nil {
		return err
	}
	log, err := l.openOwn(proof.Checkpoint, joined(ownChain))
	if err != nil {
		return err
	}
	if err := proof.CheckUnder(log, ownKind, ownBody); err != nil {
		return err
	}
	if proof, err = journal.ParseProof(other); err != nil {
		return err
	}
	if !bytes.Equal(proof.Checkpoint, o.Checkpoint) {
		return errors.New("the proof is under another checkpoint than the answer")
	}
	return proof.CheckUnder(o.Log, otherKind, otherBody)
}

// restore stores a message of ours that the peer gave back, with its receipt.
func (l *line) restore(ctx context.Context, m *store.Message, got *continuation) error {
	stored, err := l.engine.cfg.Store.GetMessage(ctx, store.Out, l.trustDomain, m.ID)
	switch {
	case err == nil && !bytes.Equal(stored.Payload, m.Payload):
		return nil // it was written again under this id; the peer refuses the second, and both are shown
	case err == nil && stored.Receipt != nil:
		return nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return &localError{doing: "reading a message", err: err}
	}
	here := err == nil
	w := &waiting{cost: 2, do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		if here {
			return nil, tx.PutReceipt(store.Receipt{ID: m.ID, Body: m.Receipt, Proof: m.Proof, Chain: m.ProofChain, At: m.ReceiptAt})
		}
		entries, err := makeRoom(tx, m.Serial)
		if err != nil {
			return nil, err
		}
		if err := tx.Restore(*m); err != nil {
			return nil, err
		}
		return append(entries, store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload}), nil
	}}
	if err := l.commit(ctx, w); err != nil {
		return &localError{doing: "storing a message that the peer gave back", err: err}
	}
	if !here {
		got.Messages++
	}
	return nil
}

// makeRoom gives a message that nobody has receipted another serial, where the peer has seen
// its serial with another message.
func makeRoom(tx store.LineTx, serial int64) ([]store.JournalEntry, error) {
	at, err := tx.After(store.Out, serial-1, 1)
	if err != nil || len(at) == 0 || at[0].Serial != serial {
		return nil, err
	}
	p, err := decodeStored(at[0].Payload)
	if err != nil {
		return nil, err
	}
	m, err := tx.Move(at[0].ID, composed(&p))
	if err != nil {
		return nil, err
	}
	return []store.JournalEntry{{Kind: string(journal.Message), Message: at[0].ID, Body: m.Payload}}, nil
}

// acceptBack stores a message of the peer that we had receipted, with that receipt.
func (l *line) acceptBack(ctx context.Context, m *store.Message, got *continuation) error {
	duplicate := false
	w := &waiting{do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		var err error
		if _, duplicate, err = tx.Accept(*m); err != nil || duplicate {
			return nil, err
		}
		return []store.JournalEntry{{Kind: string(journal.Receipt), Message: m.ID, Body: m.Receipt}}, nil
	}}
	if err := l.commit(ctx, w); err != nil {
		return &localError{doing: "storing a message that the peer gave back", err: err}
	}
	if !duplicate {
		got.Receipts++
	}
	return nil
}

// isLeft tells whether our journal has said that it goes on without this state.
func (l *line) isLeft(ctx context.Context, held tlog.Tree) (left bool, err error) {
	err = l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) error {
		list, err := r.Breaks(true)
		for _, b := range list {
			c := continuationOf(b.Note)
			left = left || c != nil && c.OldSize == held.N && c.OldRoot == base64.StdEncoding.EncodeToString(held.Hash[:])
		}
		return err
	})
	return left, err
}
