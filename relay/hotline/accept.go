// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// incoming is one message of a batch.
type incoming struct {
	m       store.Message
	refused error
	// duplicate: it was stored before; m is what is stored then.
	duplicate bool
	// exercise: it says that it belongs to one. answerBy as it says it.
	exercise bool
	answerBy time.Time
}

// batchIn is what a batch of the peer holds, verified and read.
type batchIn struct {
	messages []incoming
	// note that the peer's journal goes on after its database was set back.
	note *continuation
}

// response is what is answered.
type response struct {
	state string
	// opened is the peer's batch that was stored, nil where it was not, and era that of its journal in which it was.
	opened *wire.Opened
	era    int
	// base is the size of our journal that the peer says it holds.
	base int64
	// receipts are of messages of the batch; their entries are known.
	receipts []*store.Message
	refusals []wire.Refusal
}

// read verifies each entry and reads it. A wrong proof is an error of the whole batch, for no
// honest relay sends one; what a message says is its own matter.
func (l *line) read(ctx context.Context, identity Identity, o *wire.Opened) (*batchIn, error) {
	in := &batchIn{messages: make([]incoming, 0, len(o.Entries))}
	of, now := evidenceOf(o), l.engine.cfg.Now().UTC().Truncate(time.Microsecond)
	for i := range o.Entries {
		e := &o.Entries[i]
		if err := o.Check(e); err != nil {
			return nil, refuse(http.StatusBadRequest, "%v", err)
		}
		switch journal.Kind(e.Kind) {
		case journal.Message:
		case journal.Note:
			in.note = continuationOf(e.Body)
			continue
		default:
			return nil, refuse(http.StatusBadRequest, "entry %d is neither a message nor a note", e.Index)
		}
		got := incoming{}
		p, err := l.decode(ctx, identity, e.Body)
		if got.refused = err; err != nil {
			got.m = store.Message{Direction: store.In, Peer: l.trustDomain, ID: p.ID, Conversation: p.Conversation}
			if p.ID == "" {
				got.m.ID = "#" + strconv.Itoa(i)
			}
		} else {
			got.exercise, got.answerBy = p.Exercise != "", p.AnswerBy
			got.m = store.Message{
				Direction: store.In, Peer: l.trustDomain, ID: p.ID, Serial: p.Serial,
				Conversation: p.Conversation, Kind: string(p.Kind), Precedence: p.Precedence, InReplyTo: p.InReplyTo,
				Payload: e.Body, CreatedAt: p.CreatedAt, StoredAt: now, ReceiptAt: now, Attachments: uses(p.Attachments),
				Proof: store.Proof{Of: of, Index: e.Index, Path: e.Path},
			}
			r := receiptFor(&p, e.Body, now)
			got.m.Receipt = encodeReceipt(&r)
		}
		in.messages = append(in.messages, got)
	}
	return in, nil
}

// decode reads a message and checks that it is from the peer to us.
func (l *line) decode(ctx context.Context, identity Identity, raw []byte) (Payload, error) {
	p, err := message.Decode(raw)
	switch {
	case err != nil:
		return named(raw), refuse(http.StatusUnprocessableEntity, "%v", err)
	case p.From != l.trustDomain:
		return p, refuse(http.StatusUnprocessableEntity, "from: must be %s, who signed", l.trustDomain)
	case p.To != identity.TrustDomain():
		return p, refuse(http.StatusUnprocessableEntity, "to: this is %s", identity.TrustDomain())
	}
	return p, l.complete(ctx, p.Attachments)
}

// named is what can be said of a message that is refused: its id and conversation, if it has any.
func named(raw []byte) (p Payload) {
	const longest = 64
	_ = json.Unmarshal(raw, &p) // what was read until a fault is enough
	if len(p.ID) > longest || len(p.Conversation) > longest {
		return Payload{}
	}
	return Payload{ID: p.ID, Conversation: p.Conversation}
}

// accept stores what is new of a batch: messages, their proofs, the peer's checkpoint, our
// receipts and our checkpoint over these, in one transaction. It returns the answer.
//
// The answer is made when the transaction is written, while the disk syncs it, and given to nobody before that has
// ended well: a crash or a failed sync leaves nobody who has seen it.
func (l *line) accept(ctx context.Context, o *wire.Opened, in *batchIn, judge func(state string)) ([]byte, error) {
	r := &response{base: o.Held.Tree().N}
	answered := sync.OnceValues(func() ([]byte, error) { return l.respond(ctx, r) })
	w := &waiting{
		cost: costOf(in), urgent: urgent(in),
		do: func(tx store.LineTx) (entries []store.JournalEntry, err error) {
			if entries, r.state, err = l.enter(tx, o, in); err == nil && r.state == wire.Continues {
				r.kept(o, l.peerLog.present(), in)
			}
			return entries, err
		},
		written: func() {
			if r.state == wire.Continues {
				go func() { _, _ = answered() }() // what came of it is asked for below
			}
		},
	}
	if err := l.commit(ctx, w); err != nil {
		return nil, fmt.Errorf("storing messages of %s: %w", l.trustDomain, err)
	}
	if r.state == stateLeft {
		r.state = wire.Behind
		return l.respond(ctx, r)
	}
	if r.state != wire.Continues {
		judge(r.state)
		return l.respond(ctx, r)
	}
	l.peerLog.accepted(o, r.era)
	judge(wire.Continues)
	l.received(ctx, in)
	if body, err := answered(); err == nil {
		return body, nil
	}
	return l.respond(ctx, r) // what it reads may not have been there before the sync
}

// costOf is how much of a transaction a batch takes.
func costOf(in *batchIn) int {
	if len(in.messages) == 0 {
		return -1
	}
	return len(in.messages)
}

// kept fills in what is answered to a batch that was stored, in an era of the peer's journal.
func (r *response) kept(o *wire.Opened, era int, in *batchIn) {
	r.opened, r.era, r.refusals = o, era, nil
	r.receipts = make([]*store.Message, 0, len(in.messages))
	for i := range in.messages {
		m := &in.messages[i]
		switch {
		case m.refused != nil:
			a := asAnswer(m.refused)
			r.refusals = append(r.refusals, wire.Refusal{ID: m.m.ID, Status: a.status, Detail: a.detail})
		default:
			r.receipts = append(r.receipts, &m.m)
		}
	}
}

// urgent tells whether a batch goes before others: it holds a message that goes as FLASH does.
func urgent(in *batchIn) bool {
	for i := range in.messages {
		if in.messages[i].m.Precedence == "FLASH" {
			return true
		}
	}
	return false
}

// enter is accept within the transaction.
func (l *line) enter(tx store.LineTx, o *wire.Opened, in *batchIn) ([]store.JournalEntry, string, error) {
	acts, state, err := l.followed(tx, o, in.note, nil)
	if err != nil || state != wire.Continues {
		return acts, state, err
	}
	entries := make([]store.JournalEntry, 0, len(in.messages)+len(acts))
	held := map[string]bool{} // conversations in which a message was refused
	for i := range in.messages {
		m := &in.messages[i]
		if m.refused == nil && held[m.m.Conversation] {
			m.refused = refuse(statusIncomplete, "an earlier message of its conversation was refused")
		}
		if m.refused == nil {
			stored, duplicate, err := tx.Accept(m.m)
			switch {
			case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
				m.refused = err
			case err != nil:
				return nil, "", err
			default:
				m.m, m.duplicate = stored, duplicate
				if !m.exercise {
					break
				}
				if err := noteExercise(tx, &m.m); err != nil {
					return nil, "", err
				}
			}
		}
		switch {
		case m.refused != nil:
			held[m.m.Conversation] = true
		case m.duplicate && m.m.Entry == 0:
			m.refused = refuse(http.StatusConflict, "it was receipted before there was a journal here")
		case !m.duplicate:
			entries = append(entries, store.JournalEntry{Kind: string(journal.Receipt), Message: m.m.ID, Body: m.m.Receipt})
		}
	}
	return append(entries, acts...), wire.Continues, nil
}

// received notes messages that are new and stored.
func (l *line) received(ctx context.Context, in *batchIn) {
	var added, refused int
	var last string
	var due time.Time
	for i := range in.messages {
		switch m := &in.messages[i]; {
		case m.refused != nil:
			refused++
		case !m.duplicate:
			added, last = added+1, m.m.ID
			if first := l.firstDue(&m.m, m.answerBy); due.IsZero() || first.Before(due) {
				due = first
			}
		}
	}
	if refused > 0 {
		l.engine.cfg.Log.WarnContext(ctx, "messages refused", "peer", l.trustDomain, "messages", refused)
	}
	if added > 0 {
		l.engine.metrics.received(l.name(), added)
		l.engine.cfg.Log.InfoContext(ctx, "messages received", "peer", l.trustDomain, "messages", added, "message_id", last)
		l.engine.moved(due)
	}
}

// respond makes the answer, under the newest checkpoint of our journal.
func (l *line) respond(ctx context.Context, r *response) ([]byte, error) {
	var covers int64
	for _, m := range r.receipts {
		covers = max(covers, m.Entry)
	}
	b, prover, err := l.begin(ctx, covers, r.base)
	if err != nil {
		return nil, err
	}
	b.State, b.Refusals = r.state, r.refusals
	if o := r.opened; o != nil && o.Log.Tree.N > b.Held.Tree().N && l.peerLog.present() == r.era {
		b.Held = wire.TreeOf(o.Log.Tree) // in memory it is held once it is on stable storage, as this answer leaves
	}
	if err := l.announce(ctx, prover); err != nil {
		return nil, err
	}
	entries := make([]wire.Entry, len(r.receipts))
	for i, m := range r.receipts {
		entries[i] = wire.Entry{Index: m.Entry - 1, Kind: string(journal.Receipt), Body: m.Receipt}
	}
	if err := prover.Add(entries...); err != nil {
		return nil, err
	}
	return b.Encode()
}

// begin makes a batch of ours without entries: our chain, the newest checkpoint of our
// journal, what proves that it continues what the peer holds, bases before others, and what
// we hold of the peer's journal.
func (l *line) begin(ctx context.Context, covers int64, bases ...int64) (*wire.Batch, *wire.Prover, error) {
	newest, err := l.own(ctx, covers)
	if err != nil {
		return nil, nil, err
	}
	signed, chain, err := l.shown(newest)
	if err != nil {
		return nil, nil, err
	}
	held := l.peerLog.largest()
	if held.N == 0 {
		if held, err = l.readHeld(ctx); err != nil {
			return nil, nil, err
		}
	}
	b := &wire.Batch{Chain: chain, Checkpoint: signed, Held: wire.TreeOf(held)}
	prover := wire.NewProver(b, treeOf(newest), l.storedHashes(ctx))
	for _, from := range l.leaving.next(newest.Size, bases...) {
		if err := prover.Continue(from); err != nil {
			return nil, nil, err
		}
	}
	return b, prover, nil
}
