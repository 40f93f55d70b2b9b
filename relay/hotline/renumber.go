// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// Bounds of a transaction that gives messages other serials: it looks at so many, and writes so
// many bytes, or one message.
const (
	movesAtOnce   = maxBatch
	maxMovedBytes = 4 << 20
)

// renumbering gives the queued messages that are in the way of others the serials after upTo, in
// their order and without gaps, however many they are, in transactions that are bounded:
//
//  1. count them, a page at a time, and reserve their serials with the last page: the next message
//     of ours follows all   a crash before: nothing was done; after it: nothing was moved
//  2. those that move up, from the largest serial down, a page at a time
//     a crash after each: no two share a serial, their order is as before, and what is
//     counted anew gives the same serials, so that the rest moves
//  3. put what was written again in its place; what said something else is queued once more   a
//     crash after: it is not found to be written again
//  4. those that move down, where a serial was left free since, from the smallest up, a page at
//     a time; the last one lets the next message follow          a crash after each: as in 2
//
// A message that the officers write meanwhile is queued behind all. One that gets its receipt
// meanwhile keeps its serial, which no other gets.
type renumbering struct {
	line *line
	way  way
	upTo int64
	// low stay below what comes back, total are in its way, and moved of them have moved.
	low, total, moved int64
	// bottom is the smallest serial in the way, top the largest to be given, and behind follows all of ours.
	bottom, top, behind int64
}

func (m *renumbering) run(ctx context.Context, again []rewritten) error {
	defer m.line.renumbers(0, 0)
	if err := m.plan(ctx); err != nil {
		return err
	}
	if err := m.up(ctx); err != nil {
		return err
	}
	if err := m.replace(ctx, again); err != nil {
		return err
	}
	if err := m.down(ctx); err != nil {
		return err
	}
	if m.moved > 0 {
		m.line.engine.cfg.Log.InfoContext(ctx, "queued messages have other serials", "peer", m.line.trustDomain, "messages", m.moved, "above", m.upTo)
	}
	return nil
}

// commit makes one of the transactions, alone.
func (m *renumbering) commit(ctx context.Context, do changes) error {
	return m.line.commit(ctx, &waiting{cost: maxBatch, do: do})
}

// plan does step 1. What is queued while it counts is behind what was counted, and is counted with the
// serials that are reserved, in one transaction; what gets its receipt meanwhile leaves a serial free, which step 4 closes.
func (m *renumbering) plan(ctx context.Context) error {
	from, err := m.line.whole(ctx)
	c := census{way: m.way, upTo: m.upTo, last: from}
	if err == nil {
		err = m.line.eachPlaced(ctx, from, func(p *store.Placed) bool {
			c.see(p)
			return true
		})
	}
	for reserved := false; err == nil && !reserved; {
		reserved, err = m.reserve(ctx, &c)
	}
	if err != nil {
		return err
	}
	m.low, m.total, m.bottom, m.top = c.low, c.total, c.bottom, c.top()
	m.behind = max(m.top, c.last) + 1
	if m.total > 0 {
		m.line.renumbers(0, m.total)
		m.line.engine.cfg.Log.WarnContext(ctx, "queued messages get serials above what the peer gives back", "peer", m.line.trustDomain,
			"messages", m.total, "above", m.upTo)
	}
	return nil
}

// reserve counts the next page, and reserves the serials if it is the last one.
func (m *renumbering) reserve(ctx context.Context, c *census) (reserved bool, err error) {
	var next census
	limit := m.line.engine.pages.moves
	err = m.commit(ctx, func(tx store.LineTx) ([]store.JournalEntry, error) {
		page, err := tx.PlacedAfter(c.last, limit)
		if err != nil {
			return nil, err
		}
		next = *c
		for i := range page {
			next.see(&page[i])
		}
		if reserved = len(page) < limit; !reserved {
			return nil, nil
		}
		return nil, tx.Reserve(next.top())
	})
	if err == nil {
		*c = next
	}
	return reserved, err
}

// census is what a renumbering counts of messages that it sees in ascending order: see there.
type census struct {
	way  way
	upTo int64
	// low and total are queued, taken have a receipt and a serial above upTo; bottom is the smallest
	// serial in the way, and last the last that was seen.
	low, total, taken, bottom, last int64
}

func (c *census) see(p *store.Placed) {
	switch c.last = p.Serial; {
	case c.way.holds(p):
		if c.total++; c.total == 1 {
			c.bottom = p.Serial
		}
	case p.Queued:
		c.low++
	case p.Serial > c.upTo:
		c.taken++
	}
}

// top is the largest serial that is needed.
func (c *census) top() int64 { return c.upTo + c.total + c.taken }

// up does step 2. Whatever comes below one that was looked at gets a smaller serial than it.
func (m *renumbering) up(ctx context.Context) error {
	before, next := m.behind, m.top
	for left := m.total; left > 0 && before > m.bottom; { // some may have a receipt by now
		t := mover{}
		err := m.commit(ctx, func(tx store.LineTx) ([]store.JournalEntry, error) {
			t = mover{tx: tx, before: m.bottom, next: next, left: left}
			page, err := tx.PlacedBefore(before, m.line.engine.pages.moves)
			if err != nil {
				return nil, err
			}
			for i := range page {
				if t.full() {
					break
				}
				if err := t.up(&page[i], m.way); err != nil {
					return nil, err
				}
			}
			return t.entries, nil
		})
		if err != nil {
			return err
		}
		before, next, left = t.before, t.next, t.left
		m.progress(t.moved)
	}
	return nil
}

// down does step 4.
func (m *renumbering) down(ctx context.Context) error {
	after, next := m.upTo, m.upTo+1
	for more := true; more; {
		t := mover{}
		err := m.commit(ctx, func(tx store.LineTx) ([]store.JournalEntry, error) {
			t = mover{tx: tx, before: after, next: next}
			page, err := tx.PlacedAfter(after, m.line.engine.pages.moves)
			if err != nil {
				return nil, err
			}
			n := 0
			for ; n < len(page) && !t.full(); n++ {
				if err := t.down(&page[n]); err != nil {
					return nil, err
				}
			}
			if more = n < len(page) || len(page) == m.line.engine.pages.moves; more {
				return t.entries, nil
			}
			return t.entries, tx.Reserve(t.next - 1)
		})
		if err != nil {
			return err
		}
		after, next = t.before, t.next
		m.progress(t.moved)
	}
	return nil
}

func (m *renumbering) progress(moved int64) {
	m.moved += moved
	m.line.renumbers(m.moved, m.total)
}

// mover is one transaction of a renumbering.
type mover struct {
	tx store.LineTx
	// before is the serial that was looked at last, and next the one to be given next.
	before, next int64
	// left are in the way and were not looked at, moved have moved, with so many bytes.
	left, moved int64
	bytes       int
	entries     []store.JournalEntry
}

func (t *mover) full() bool { return t.bytes >= maxMovedBytes }

// up moves a message if it is in the way, and its serial too small.
func (t *mover) up(p *store.Placed, w way) error {
	t.before = p.Serial
	if !w.holds(p) {
		return nil
	}
	t.left--
	for ; t.next > p.Serial; t.next-- {
		err := t.move(p.ID, t.next)
		if errors.Is(err, store.ErrConflict) { // of one that has a receipt
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	t.next--
	return nil
}

// down moves a message if a smaller serial is free, that no message with a receipt follows.
func (t *mover) down(p *store.Placed) error {
	t.before = p.Serial
	if !p.Queued || p.Serial <= t.next {
		t.next = p.Serial + 1
		return nil
	}
	err := t.move(p.ID, t.next)
	t.next++
	return err
}

func (t *mover) move(id string, serial int64) error {
	m, err := t.tx.Move(id, serial, renumbered)
	if err != nil {
		return fmt.Errorf("giving message %s the serial %d: %w", oneLine(id), serial, err)
	}
	t.entries = append(t.entries, store.JournalEntry{Kind: string(journal.Message), Message: id, Body: m.Payload})
	t.bytes += len(m.Payload)
	t.moved++
	return nil
}

// renumbers notes how many queued messages have other serials, for the report and the metric.
func (l *line) renumbers(moved, total int64) {
	l.mu.Lock()
	step := func(moved, total int64) int64 { return moved * renumberSteps / max(1, total) }
	changed := total != l.health.renumber || step(moved, total) != step(l.health.renumbered, total)
	l.health.renumbered, l.health.renumber = moved, total
	l.mu.Unlock()
	if changed {
		l.engine.changed()
	}
}
