// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"time"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// Bounds of what is kept of the queue in memory, and how much must wait there for a second
// batch to leave while one is under way: fewer are cheaper with the next.
const (
	maxFront      = store.MaxMessages
	maxFrontBytes = 4 << 20
	aheadFrom     = wire.MaxEntries * 3 / 4
)

// front is the beginning of the queue in memory, so that what was just stored leaves
// without being read again. It knows something only while nothing was refused, nothing goes as FLASH
// and only this relay stores messages; else the lanes read the store. The zero value knows
// nothing. The line's lock guards it.
type front struct {
	// known: list is the beginning of what is queued, as Pending orders it, but for what flies.
	// whole: it is all of that.
	known, whole bool
	list         []store.Message
	bytes        int
	// size is that of our journal up to which the list is true.
	size int64
	// seen is the last entry of it of which the reader saw something: up to there it saw all.
	seen int64
	// reading: a lane reads the queue, of our journal at least of that size; late are messages
	// that were stored meanwhile, of which it may see some.
	reading bool
	late    []store.Message
}

// drop forgets everything.
func (f *front) drop() { *f = front{} }

// begin is called before the queue is read, with the size of our journal.
func (f *front) begin(size int64) { *f = front{reading: true, size: size} }

// read takes what was read of the queue and does not fly.
func (f *front) read(rest []store.Message, whole bool, seen int64) {
	if !f.reading {
		return // something happened of which the reader may know nothing
	}
	late := f.late
	f.reading, f.late, f.known, f.whole, f.seen = false, nil, true, whole, seen
	for i := range rest {
		f.bytes += len(rest[i].Payload)
	}
	f.list = rest
	for i := range late {
		f.add(&late[i])
	}
}

// grown takes a change that made our journal longer, from one size to another, with the messages
// that it queued.
func (f *front) grown(from, to int64, queued []store.Message) {
	if !f.known && !f.reading {
		return
	}
	if to <= f.size {
		return // it was there when the reader began
	}
	if from != f.size || f.reading && len(f.late)+len(queued) > maxBatch {
		f.drop() // another replica stored something, or the reader is slow
		return
	}
	f.size = to
	for i := range queued {
		switch m := &queued[i]; {
		case f.reading:
			f.late = append(f.late, *m)
		case f.known:
			f.add(m)
		}
	}
}

// add puts a message at the end. One that goes before others, and so may bring forward what is
// before it in its conversation, is left to the store.
func (f *front) add(m *store.Message) {
	n := len(f.list)
	switch {
	case m.Entry <= f.seen:
	case m.Urgency == 0, n > 0 && m.Urgency < f.list[n-1].Urgency:
		f.drop()
	case !f.whole:
	case n >= maxFront, n > 0 && f.bytes+len(m.Payload) > maxFrontBytes:
		f.whole = false
	default:
		f.list, f.bytes = append(f.list, *m), f.bytes+len(m.Payload)
	}
}

// took takes messages out, which are in the order of the list, and lets go of their memory.
func (f *front) took(list []store.Message) {
	rest := f.list[:0]
	if len(list) > 0 && len(list) <= len(f.list) && f.list[len(list)-1].ID == list[len(list)-1].ID {
		rest = f.list[len(list):] // nothing stays before them
		clear(f.list[:len(list)])
	} else {
		next := 0
		for i := range f.list {
			if next < len(list) && f.list[i].ID == list[next].ID {
				next++
			} else {
				rest = append(rest, f.list[i])
			}
		}
		clear(f.list[len(rest):])
	}
	for i := range list {
		f.bytes -= len(list[i].Payload)
	}
	if f.list = rest; len(rest) == 0 {
		f.list = nil
	}
}

// fromFront picks from memory what a lane may send. known is false if the store must be read.
func (l *line) fromFront(n lane, now time.Time) (list []store.Message, empty, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &l.front
	switch {
	case n == ahead && (len(f.list) < aheadFrom || now.Sub(l.flashed) < pacedFor):
		return nil, false, true
	case !f.known:
		return nil, false, n == ahead
	case len(l.flying) > 0 && len(f.list) < aheadFrom:
		return nil, false, true // it is looked at again when those land
	}
	list, _ = l.takeOffOf(f.list, n, now)
	f.took(list)
	if len(list) == 0 && !f.whole {
		f.drop()
		return nil, false, n == ahead
	}
	return list, len(f.list) == 0 && len(list) == 0, true
}

// beginFront is called before the usual lane reads the queue, to keep what it finds, and what is
// stored from then on. Where something was refused it is not worth it.
func (l *line) beginFront(ctx context.Context, held int) {
	var newest store.Checkpoint
	err := errNotReady
	if held == 0 {
		err = l.engine.cfg.Store.GlanceLine(ctx, l.trustDomain, func(r store.LineReader) (err error) {
			newest, _, err = r.Journal()
			return err
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.front.drop(); err == nil {
		l.front.begin(newest.Size)
	}
}

// keepFront keeps what was read of the queue, without what flies. The caller holds l.mu.
func (l *line) keepFront(pending []store.Message, limit int) {
	rest := make([]store.Message, 0, len(pending))
	var seen int64
	bytes := 0
	for i := range pending {
		m := &pending[i]
		if m.Urgency == 0 || len(l.held) > 0 {
			l.front.drop()
			return
		}
		seen, bytes = max(seen, m.Entry), bytes+len(m.Payload)
		if _, flies := l.flying[m.ID]; !flies {
			rest = append(rest, *m)
		}
	}
	// Pending may end early where there is much to read.
	l.front.read(rest, len(pending) < limit && bytes < store.MaxPageBytes/2, seen)
}

// forgetFront is for when what is queued changed in a way that only the store knows.
func (l *line) forgetFront() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.front.drop()
}

// queuedNow takes what a transaction queued.
func (l *line) queuedNow(w *written) {
	l.mu.Lock()
	if l.front.grown(w.from, w.added.Checkpoint.Size, w.queued); w.moved {
		l.front.drop()
	}
	crowd := len(l.front.list) >= aheadFrom && len(l.flying) > 0
	l.mu.Unlock()
	if crowd {
		l.pokeLanes(l.wakes[ahead : ahead+1])
	}
}
