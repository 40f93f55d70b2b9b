// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// room is what a recovery knows of the serials that the peer has seen.
type room struct {
	// upTo is the largest that it gives back; 0 before that is known.
	upTo int64
	// low are the queued messages below the first that was lost. They were written after the
	// restart, with serials that the peer has not seen, or wait since before.
	low []store.Message
}

// needs tells whether queued messages may be in the way of those that were lost, which are
// ascending.
func (r *room) needs(lost []store.Message) bool {
	if len(lost) == 0 {
		return false
	}
	if lost[len(lost)-1].Serial > r.upTo {
		return true
	}
	for i := range lost {
		for k := range r.low {
			if r.low[k].Conversation == lost[i].Conversation && r.low[k].Serial < lost[i].Serial {
				return true
			}
		}
	}
	return false
}

// inTheWay returns the queued messages that get other serials, in order; both lists are
// ascending. It is pure. What was lost was sent before anything that was written since, so the peer
// holds none of the queued messages with the serial of the first that was lost, or a later
// one, or one below that of a lost one of the same conversation.
func inTheWay(queued, lost []store.Message) (out []store.Message) {
	last := map[string]int64{} // the largest serial that was lost of each conversation
	for i := range lost {
		last[lost[i].Conversation] = lost[i].Serial
	}
	for i := range queued {
		if m := &queued[i]; m.Serial >= lost[0].Serial || m.Serial < last[m.Conversation] {
			out = append(out, *m)
		}
	}
	return out
}

// makeRoom gives queued messages other serials, above all that comes back and without gaps, in
// their order: where the peer has seen theirs with messages that were lost here, or where they
// would stand before these in their conversation. What comes back under the id of one that was
// written again takes its place. All is one transaction; it may be repeated.
func (l *line) makeRoom(ctx context.Context, r *room, lost []store.Message, again []rewritten) error {
	all := ascending(lost, again)
	if !r.needs(all) && len(again) == 0 {
		return nil
	}
	if last := all[len(all)-1].Serial; last > r.upTo {
		upTo, err := l.lastGiven(ctx, last)
		if err != nil {
			return err
		}
		r.upTo = upTo
	}
	var low []store.Message
	err := l.commit(ctx, &waiting{cost: maxBatch, do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		queued, err := queuedIn(tx)
		if err != nil {
			return nil, err
		}
		low = slices.DeleteFunc(slices.Clone(queued), func(m store.Message) bool { return m.Serial >= all[0].Serial })
		moves := slices.DeleteFunc(inTheWay(queued, all), func(m store.Message) bool {
			return slices.ContainsFunc(again, func(w rewritten) bool { return w.original.ID == m.ID })
		})
		return moveAll(tx, r.upTo, moves, again, l.engine.cfg.Now())
	}})
	if err != nil {
		return &localError{doing: "making room for messages that the peer gives back", err: err}
	}
	r.low = low
	return nil
}

// rewritten is a message that comes back, and what was written here under its id since.
type rewritten struct{ original, here store.Message }

// ascending lists by serial what is not here.
func ascending(lost []store.Message, again []rewritten) []store.Message {
	out := slices.Clone(lost)
	for i := range again {
		out = append(out, again[i].original)
	}
	slices.SortFunc(out, func(a, b store.Message) int { return cmp.Compare(a.Serial, b.Serial) })
	return out
}

// queuedIn lists the messages of ours without receipt by serial, without what they say.
func queuedIn(tx store.LineTx) (queued []store.Message, err error) {
	from, err := tx.Whole(store.Out)
	for err == nil {
		var page []store.Message
		if page, err = tx.After(store.Out, from, copiesAtOnce); len(page) == 0 {
			break
		}
		for i := range page {
			if page[i].Receipt == nil {
				queued = append(queued, store.Message{ID: page[i].ID, Serial: page[i].Serial, Conversation: page[i].Conversation})
			}
		}
		from = page[len(page)-1].Serial
	}
	return queued, err
}

// moveAll gives messages the serials after upTo, in order, and puts originals in their places. One
// that was written under the id of another with another content is stored last, under an id of its own.
func moveAll(tx store.LineTx, upTo int64, list []store.Message, again []rewritten, now time.Time) (entries []store.JournalEntry, err error) {
	for i := range list {
		m, err := tx.Move(list[i].ID, upTo+1+int64(i), renumbered)
		if err != nil {
			return nil, err
		}
		entries = append(entries, store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload})
	}
	for i := range again {
		m := &again[i].original
		if err := tx.Replace(*m); err != nil {
			return nil, err
		}
		if err := noteExercise(tx, m); err != nil {
			return nil, err
		}
		entries = append(entries, store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload})
	}
	if err := tx.Reserve(upTo + int64(len(list))); err != nil {
		return nil, err
	}
	var acts []store.JournalEntry
	for i := range again {
		if saysTheSame(again[i].original.Payload, again[i].here.Payload) {
			continue
		}
		entry, act, err := writeAgain(tx, again[i].here.Payload, now)
		if err != nil {
			return nil, err
		}
		entries, acts = append(entries, *entry), append(acts, *act)
	}
	return append(entries, acts...), nil
}

// renumbered is a message of ours under another serial.
func renumbered(old store.Message, serial int64) (store.Message, error) {
	p, err := decodeStored(old.Payload)
	if err != nil {
		return store.Message{}, err
	}
	return composed(&p)(serial)
}

// saysTheSame tells whether two messages of ours under one id say the same, as when a request is repeated,
// or a draft released again.
func saysTheSame(a, b []byte) bool {
	p, err := decodeStored(a)
	if err != nil {
		return false
	}
	q, err := decodeStored(b)
	if err != nil {
		return false
	}
	if p.Kind == message.ACK && q.Kind == message.ACK {
		return p.InReplyTo == q.InReplyTo
	}
	q.Serial, q.CreatedAt, q.ReleasedBy = p.Serial, p.CreatedAt, p.ReleasedBy
	return reflect.DeepEqual(p, q)
}

// writeAgain stores a message under an id of its own.
func writeAgain(tx store.LineTx, raw []byte, now time.Time) (entry, act *store.JournalEntry, err error) {
	p, err := decodeStored(raw)
	if err != nil {
		return nil, nil, err
	}
	old := p.ID
	p.ID = ulid.Make().String()
	m, err := tx.Enqueue(composed(&p))
	if err != nil {
		return nil, nil, err
	}
	a := Act{Name: actWrittenAgain, At: now, Message: m.ID, Direction: "OUT", Details: map[string]string{"old_id": old}}
	if act, err = a.Entry(); err != nil {
		return nil, nil, err
	}
	return &store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload}, act, nil
}

// actWrittenAgain is the act of giving a message another id, because after a restored backup another
// one of ours came back under its id.
const actWrittenAgain = "WRITTEN_AGAIN"

// lastGiven finds the largest serial of ours that the peer gives back, from one that it does:
// it asks above it, further each time until nothing comes, then in between. So each
// queued message moves once, however many come back.
func (l *line) lastGiven(ctx context.Context, last int64) (int64, error) {
	above := func(serial int64) (int64, error) {
		o, err := l.ask(ctx, wire.Want{Ours: serial, Theirs: -1})
		if err != nil || len(o.Copies) == 0 {
			return 0, err
		}
		m, err := l.copied(o, &o.Copies[len(o.Copies)-1])
		if err == nil && (m.Direction != store.Out || m.Serial <= serial) {
			err = &receiptError{err: fmt.Errorf("the peer gives back message %s, which was not asked for", oneLine(m.ID))}
		}
		return m.Serial, err
	}
	var end int64
	for step := int64(copiesAtOnce); end == 0; step *= 2 {
		found, err := above(last + step)
		switch {
		case err != nil:
			return 0, err
		case found == 0:
			end = last + step
		default:
			last = found
		}
	}
	for last < end {
		middle := last + (end-last)/2
		found, err := above(middle)
		switch {
		case err != nil:
			return 0, err
		case found == 0:
			end = middle
		default:
			last = found
		}
	}
	return last, nil
}
