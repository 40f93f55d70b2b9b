// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"reflect"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// replace does step 3 of a renumbering: one transaction, since no more come back at once than
// copiesAtOnce.
func (m *renumbering) replace(ctx context.Context, again []rewritten) error {
	if len(again) == 0 {
		return nil
	}
	now := m.line.engine.cfg.Now()
	return m.commit(ctx, func(tx store.LineTx) ([]store.JournalEntry, error) { return replaceAll(tx, again, now) })
}

// replaceAll puts originals in their places. One that was written under the id of another with another
// content is stored last, under an id of its own.
func replaceAll(tx store.LineTx, again []rewritten, now time.Time) (entries []store.JournalEntry, err error) {
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
