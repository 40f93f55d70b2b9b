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
		// What this replica saw last itself may be older: another may have taken what came since.
		b.Held = wire.TreeOf(treeOf(c))
		if after < 0 {
			return nil
		}
		return l.addCopies(ctx, r, b, prover, d, after)
	})
	if err != nil {
		return nil, fmt.Errorf("giving back messages: %w", err)
	}
	if after < 0 {
		return b.Encode() // it only compares
	}
	l.engine.cfg.Log.WarnContext(ctx, "the peer's database was set back: it gets back what we hold of it", "peer", l.trustDomain, "messages", len(b.Copies))
	return b.Encode()
}

// addCopies adds what follows a serial, as much as fits. An answer without copies says that
// there are no more, so it goes on over messages that cannot be proven.
func (l *line) addCopies(ctx context.Context, r store.LineReader, b *wire.Batch, prover *wire.Prover, d store.Direction, after int64) error {
	for len(b.Copies) == 0 && ctx.Err() == nil {
		list, err := r.After(d, after, l.engine.pages.copies)
		if err != nil || len(list) == 0 {
			return err
		}
		size := 0
		for i := range list {
			if size += len(list[i].Payload) + copyOverheads; size > maxCopyBytes && len(b.Copies) > 0 {
				break
			}
			if err := l.addCopy(r, b, prover, &list[i]); err != nil {
				return err
			}
		}
		after = list[len(list)-1].Serial
	}
	return ctx.Err()
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

// copied verifies a copy. What we said ourselves is under a checkpoint that we signed; what the
// peer said under the one that it shows now.
func (l *line) copied(o *wire.Opened, c *wire.Copy) (store.Message, error) {
	p, err := message.Decode(c.Message)
	if err != nil {
		return store.Message{}, &receiptError{err: err}
	}
	m := store.Message{
		Direction: store.In, Peer: l.trustDomain, ID: p.ID, Serial: p.Serial, Conversation: p.Conversation, Kind: string(p.Kind),
		Precedence: p.Precedence, InReplyTo: p.InReplyTo, Payload: c.Message, CreatedAt: p.CreatedAt, Receipt: c.Receipt,
	}
	if p.From == l.engine.cfg.Identity().TrustDomain() {
		m.Direction = store.Out
	}
	if err := l.verifyCopy(o, c, &m); err != nil {
		return store.Message{}, &receiptError{err: fmt.Errorf("message %s that the peer gives back: %w", oneLine(p.ID), err)}
	}
	return m, nil
}

// takeBack verifies the copies of an answer and stores what is not here. It returns what to
// ask for next: first what is above the last of theirs, then of ours, then nothing.
func (l *line) takeBack(ctx context.Context, o *wire.Opened, want wire.Want, r *room, got *store.Recovery) (wire.Want, error) {
	d, last := store.Out, want.Ours
	if want.Theirs >= 0 {
		d, last = store.In, want.Theirs
	}
	list := make([]store.Message, 0, len(o.Copies))
	for i := range o.Copies {
		m, err := l.copied(o, &o.Copies[i])
		if err == nil && (m.Direction != d || m.Serial <= last) {
			err = &receiptError{err: fmt.Errorf("the peer gives back message %s, which was not asked for", oneLine(m.ID))}
		}
		if err != nil {
			return want, err
		}
		list, last = append(list, m), m.Serial
	}
	if len(list) == 0 {
		last = -1 // there are no more
	}
	if d == store.In {
		return wire.Want{Ours: want.Ours, Theirs: last}, l.acceptBack(ctx, list, got)
	}
	return wire.Want{Ours: last, Theirs: -1}, l.restore(ctx, list, r, got)
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
	m.Proof = store.ProofOf(proof, joined(o.Chain))
	return proof.CheckUnder(o.Log, otherKind, otherBody)
}

// restore stores messages of ours that the peer gave back, with their receipts: first the
// receipts of what is here, so that it stays where it is, then the rest in one transaction.
func (l *line) restore(ctx context.Context, list []store.Message, r *room, got *store.Recovery) error {
	if len(list) == 0 {
		return nil
	}
	open, lost, again, err := l.compared(ctx, list)
	if err != nil {
		return &localError{doing: "reading a message", err: err}
	}
	err = l.commit(ctx, &waiting{cost: -1, do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		for i := range open {
			m := &open[i]
			if err := tx.PutReceipts(store.Receipt{ID: m.ID, Body: m.Receipt, Proof: m.Proof, At: m.ReceiptAt}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}})
	if err != nil {
		return &localError{doing: "storing receipts that the peer gave back", err: err}
	}
	if err := l.makeRoom(ctx, r, lost, again); err != nil {
		return err
	}
	next := *got
	next.Ours, next.Messages = list[len(list)-1].Serial, got.Messages+int64(len(lost)+len(again))
	err = l.commit(ctx, &waiting{cost: maxBatch, do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		entries, err := restored(tx, lost)
		if err != nil {
			return nil, err
		}
		return entries, tx.KeepRecovery(next)
	}})
	if err != nil {
		return &localError{doing: "storing messages that the peer gave back", err: err}
	}
	*got = next
	return nil
}

func restored(tx store.LineTx, list []store.Message) (entries []store.JournalEntry, err error) {
	for i := range list {
		m := &list[i]
		if err := tx.Restore(*m); err != nil {
			return nil, err
		}
		if err := noteExercise(tx, m); err != nil {
			return nil, err
		}
		entries = append(entries, store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload})
	}
	return entries, nil
}

// compared tells which messages that came back are here without receipt, which are not here, and for
// which another one is here, which was written under their id after the restart.
func (l *line) compared(ctx context.Context, list []store.Message) (open, lost []store.Message, again []rewritten, err error) {
	for i := range list {
		stored, err := l.engine.cfg.Store.GetMessage(ctx, store.Out, l.trustDomain, list[i].ID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			lost = append(lost, list[i])
		case err != nil:
			return nil, nil, nil, err
		case stored.Receipt != nil:
		case bytes.Equal(stored.Payload, list[i].Payload):
			open = append(open, list[i])
		default:
			again = append(again, rewritten{original: list[i], here: stored})
		}
	}
	return open, lost, again, nil
}

// acceptBack stores messages of the peer that we had receipted, with these receipts.
func (l *line) acceptBack(ctx context.Context, list []store.Message, got *store.Recovery) error {
	next := *got
	w := &waiting{cost: maxBatch, do: func(tx store.LineTx) (entries []store.JournalEntry, err error) {
		next = *got
		for i := range list {
			_, duplicate, err := tx.Accept(list[i])
			if err != nil {
				return nil, err
			}
			if duplicate {
				continue
			}
			if err := noteExercise(tx, &list[i]); err != nil {
				return nil, err
			}
			entries = append(entries, store.JournalEntry{Kind: string(journal.Receipt), Message: list[i].ID, Body: list[i].Receipt})
			next.Receipts++
		}
		return entries, tx.KeepRecovery(next)
	}}
	if err := l.commit(ctx, w); err != nil {
		return &localError{doing: "storing messages that the peer gave back", err: err}
	}
	*got = next
	return nil
}

// isLeft tells whether our journal has said that it goes on without this state.
func (l *line) isLeft(ctx context.Context, held tlog.Tree) (left bool, err error) {
	err = l.engine.cfg.Store.GlanceLine(ctx, l.trustDomain, func(r store.LineReader) error {
		list, err := r.Breaks(true)
		for _, b := range list {
			c := continuationOf(b.Note)
			left = left || c != nil && c.OldSize == held.N && c.OldRoot == base64.StdEncoding.EncodeToString(held.Hash[:])
		}
		return err
	})
	return left, err
}
