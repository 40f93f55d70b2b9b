// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

const (
	// messagesAtOnce are read of a direction at once.
	messagesAtOnce = 64
	// entriesAtOnce are kept while the journal is read backwards.
	entriesAtOnce = 128
)

// side is the messages of one direction, the newest first, as they were when it began.
type side struct {
	line      *line
	direction store.Direction
	page      []store.Message
	next      int64
	// met tells whether the newest message was met in the journal.
	met bool
	// entries counts those of this direction.
	entries int64
	// early are messages whose entry was met before them: they were given another serial, or
	// stored in another order, after a database was set back.
	early map[string]bool
	// fault is what was found wrong with one of these.
	fault *desk.JournalDamage
}

func (l *line) messages(d store.Direction) *side { return &side{line: l, direction: d} }

func (s *side) begin(ctx context.Context) error { return s.read(ctx, 0) }

func (s *side) read(ctx context.Context, before int64) error {
	page, err := s.line.engine.cfg.Store.ListMessages(ctx, store.MessageQuery{
		Direction: s.direction, Peer: s.line.trustDomain, Before: before, Limit: messagesAtOnce,
	})
	s.page, s.next = page.Messages, page.Next
	return err
}

// peek returns the next older message, nil at the end.
func (s *side) peek(ctx context.Context) (*store.Message, error) {
	if len(s.page) == 0 && s.next != 0 {
		if err := s.read(ctx, s.next); err != nil {
			return nil, err
		}
	}
	if len(s.page) == 0 {
		return nil, nil
	}
	if m := &s.page[0]; s.early[m.ID] {
		delete(s.early, m.ID)
		if s.fault = s.take(m); s.fault != nil {
			return nil, nil
		}
		return s.peek(ctx)
	}
	return &s.page[0], nil
}

// messages compares messages with entries, backwards: in each direction both are in the
// order in which they were stored. What is older than the first entry was stored before
// the journal began.
func (v *verification) messages(ctx context.Context, out, in *side) (*desk.JournalDamage, error) {
	for hi := v.check.Size; hi > 0; {
		began, lo := time.Now(), max(0, hi-entriesAtOnce)
		window, err := v.window(ctx, lo, hi)
		if err != nil {
			return nil, err
		}
		for i, entry := range slices.Backward(window) {
			side := out
			switch journal.Kind(entry.Kind) {
			case journal.Message:
			case journal.Receipt:
				side = in
			default:
				continue
			}
			if damage, err := side.compare(ctx, lo+int64(i), entry); damage != nil || err != nil {
				return damage, err
			}
		}
		hi = lo
		if err := v.pause(ctx, began); err != nil {
			return nil, err
		}
	}
	for _, side := range []*side{out, in} {
		before, damage, err := side.rest(ctx)
		if damage != nil || err != nil {
			return damage, err
		}
		v.check.Before += before
	}
	return nil, nil
}

// window reads the entries from lo to hi, without their bodies.
func (v *verification) window(ctx context.Context, lo, hi int64) ([]store.JournalEntry, error) {
	var window []store.JournalEntry
	for at := lo; at < hi; {
		batches, err := v.line.batches(ctx, at, batchesAtOnce)
		if err != nil {
			return nil, err
		}
		if len(batches) == 0 {
			return nil, fmt.Errorf("reading entry %d of the journal: %w", at, store.ErrNotFound)
		}
		for _, b := range batches {
			for i, entry := range b.Entries {
				if index := b.First + int64(i); index >= lo && index < hi {
					window = append(window, store.JournalEntry{Kind: entry.Kind, Message: entryMessage(entry)})
				}
			}
			at = b.First + int64(len(b.Entries))
		}
	}
	if int64(len(window)) != hi-lo {
		return nil, fmt.Errorf("reading entries %d to %d of the journal: %d are there", lo, hi, len(window))
	}
	return window, nil
}

// compare takes the next older entry of this direction.
func (s *side) compare(ctx context.Context, index int64, entry store.JournalEntry) (*desk.JournalDamage, error) {
	s.entries++
	m, err := s.peek(ctx)
	switch {
	case err != nil:
		return nil, err
	case s.fault != nil:
		return s.fault, nil
	case m == nil || m.ID != entry.Message:
		return s.moved(ctx, m, index, entry)
	}
	s.met = true
	return s.take(m), nil
}

// maxMoved are the entries that may stand elsewhere than their messages do.
const maxMoved = 4096

// moved takes an entry that is not that of the next older message m.
func (s *side) moved(ctx context.Context, m *store.Message, index int64, entry store.JournalEntry) (*desk.JournalDamage, error) {
	named, err := s.line.engine.cfg.Store.GetMessage(ctx, s.direction, s.line.trustDomain, entry.Message)
	absent := errors.Is(err, store.ErrNotFound)
	switch {
	case err != nil && !absent:
		return nil, err
	case !absent && named.Entry > 0 && named.Entry != index+1:
		return nil, nil // the message was given another serial, and has a later entry
	case !s.met:
		if absent || m == nil || len(s.early) >= maxMoved {
			return nil, nil // it was stored after we began
		}
	case m == nil:
		return &desk.JournalDamage{
			Index: index, Kind: entry.Kind, Direction: string(s.direction), Message: entry.Message, Reason: "the message was entered twice",
		}, nil
	case absent, named.Entry == 0, len(s.early) >= maxMoved:
		return s.stray(m, "the message has no entry in the journal"), nil
	}
	if s.early == nil {
		s.early = map[string]bool{}
	}
	s.early[named.ID] = true
	return nil, nil
}

// take leaves a message behind, unless it is not what its payload says.
func (s *side) take(m *store.Message) *desk.JournalDamage {
	p, err := decodeStored(m.Payload)
	if err != nil || p.ID != m.ID || p.Serial != m.Serial || p.Conversation != m.Conversation ||
		string(p.Kind) != m.Kind || p.Precedence != m.Precedence || p.InReplyTo != m.InReplyTo || !p.CreatedAt.Equal(m.CreatedAt) {
		return s.stray(m, "what is stored about the message is not what its content says")
	}
	s.page = s.page[1:]
	return nil
}

// rest counts the messages that are older than every entry.
func (s *side) rest(ctx context.Context) (before int64, damage *desk.JournalDamage, err error) {
	for {
		m, err := s.peek(ctx)
		switch {
		case err != nil, m == nil && s.fault == nil:
			return before, nil, err
		case s.fault != nil:
			return before, s.fault, nil
		case s.entries > 0 && !s.met, len(s.early) > 0, m.Entry > 0:
			return before, s.stray(m, "the message has no entry in the journal"), nil
		}
		before++
		s.page = s.page[1:]
	}
}

func (s *side) stray(m *store.Message, reason string) *desk.JournalDamage {
	return &desk.JournalDamage{Index: -1, Direction: string(s.direction), Message: oneLine(m.ID), Reason: reason}
}

// entryMessage is the id of the message that an entry is about.
func entryMessage(entry store.JournalEntry) string {
	if entry.Message != "" || journal.Kind(entry.Kind) != journal.Receipt {
		return entry.Message
	}
	var r ReceiptPayload
	if err := json.Unmarshal(entry.Body, &r); err != nil {
		return ""
	}
	return r.MessageID
}
