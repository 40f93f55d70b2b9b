// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"time"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// waitingTalks are conversations in which a message waits, as many as may be left out.
func waitingTalks(held map[string]failure, now time.Time) []string {
	var talks []string
	for _, f := range held {
		if f.until.After(now) && len(talks) < maxHeld {
			talks = append(talks, f.conversation)
		}
	}
	return talks
}

func earliest(next time.Time, held map[string]failure, now time.Time) time.Time {
	for _, f := range held {
		if f.until.After(now) && (next.IsZero() || f.until.Before(next)) {
			next = f.until
		}
	}
	return next
}

// takeOff chooses among the pending messages that were read, at most limit.
func (l *line) takeOff(pending []store.Message, limit int, n lane, now time.Time) ([]store.Message, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list, next := l.takeOffOf(pending, n, now)
	if n == usual {
		l.keepFront(pending, limit)
	}
	return list, next
}

// takeOffOf chooses among messages, and notes that they fly. The caller holds l.mu.
func (l *line) takeOffOf(pending []store.Message, n lane, now time.Time) ([]store.Message, time.Time) {
	if l.health.lost { // since this lane looked
		return nil, time.Time{}
	}
	entries, bytes := wire.MaxEntries, maxBatchBytes
	if n == usual && now.Sub(l.flashed) < pacedFor {
		entries, bytes = maxPacedEntries, maxPacedBytes
	}
	crowded := len(l.held) > maxHeld
	list, next := choose(pending, l.held, l.flying, n, now, crowded)
	if len(list) == 0 && crowded {
		list, next = choose(pending, l.held, l.flying, n, now, false)
	}
	list = fitting(list[:min(len(list), entries)], bytes)
	for i := range list {
		l.flying[list[i].ID] = flight{n, list[i].Conversation}
	}
	if n.express() && len(list) > 0 {
		l.flashed = now
	}
	return list, next
}

// choose is pure: the messages that a lane may send now, in order, of those that are pending,
// the most urgent first. A message waits for what waits before it in its conversation, and for
// what flies there, which need not be among pending. An express lane takes what goes as FLASH, also if it is under way in the usual lane: it
// must not wait for that. The usual lane takes the rest. While the line is crowded with
// refused messages, none of these is tried. next is when one that waits may be sent; nobody needs
// it while there is something to send, of which no more are chosen than fit into a batch.
func choose(pending []store.Message, held map[string]failure, flying map[string]flight, n lane, now time.Time, crowded bool) (list []store.Message, next time.Time) {
	waits := flyingTalks(flying, n)
	for i := range pending {
		m := &pending[i]
		if waits[m.Conversation] {
			continue
		}
		as, flies := flying[m.ID]
		f, isHeld := held[m.ID]
		switch {
		case n.express() && m.Urgency > 0:
			return list, next
		case n.express() != (m.Urgency == 0), flies && (as.by.express() || !n.express()):
			waits[m.Conversation] = true
			continue
		case isHeld && (crowded || f.until.After(now)):
			waits[m.Conversation] = true
			if f.until.After(now) && (next.IsZero() || f.until.Before(next)) {
				next = f.until
			}
			continue
		}
		// What was refused is tried alone: what follows it would be refused with it.
		waits[m.Conversation] = isHeld
		if list == nil {
			list = make([]store.Message, 0, min(len(pending)-i, wire.MaxEntries))
		}
		if list = append(list, *m); len(list) == wire.MaxEntries {
			break // no more fit into a batch
		}
	}
	return list, next
}

// flyingTalks are the conversations in which a lane waits for what flies.
func flyingTalks(flying map[string]flight, n lane) map[string]bool {
	talks := make(map[string]bool, len(flying))
	for _, f := range flying {
		if f.by.express() || !n.express() {
			talks[f.conversation] = true
		}
	}
	return talks
}

// fitting is the beginning of a list that fits into a batch of so many bytes, at least one.
func fitting(list []store.Message, most int) []store.Message {
	size := 0
	for i := range list {
		size += len(list[i].Payload) + entryBytes
		if i > 0 && size > most || i == wire.MaxEntries {
			return list[:i]
		}
	}
	return list
}

// entryBytes is about what the proof of an entry takes.
const entryBytes = 256
