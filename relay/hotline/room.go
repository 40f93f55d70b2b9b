// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// room is what a recovery knows of the serials that the peer has seen.
type room struct {
	// upTo is the largest that it gives back; 0 before that is known.
	upTo int64
	// low is how many queued messages stay below the first that was lost, as was counted last. They were
	// written after the restart, with serials that the peer has not seen, or wait since before.
	low int64
	// waits are the smallest serials of these by conversation, nil before they are known. One that gets its
	// receipt since makes no difference but a search in vain.
	waits map[string]int64
}

// way is where messages that come back belong. Queued messages are in it that get other serials.
type way struct {
	// first is the smallest serial of those, last the largest of each conversation.
	first int64
	last  map[string]int64
}

// wayOf is the way of messages that come back, which are ascending and not none.
func wayOf(lost []store.Message) way {
	w := way{first: lost[0].Serial, last: map[string]int64{}}
	for i := range lost {
		w.last[lost[i].Conversation] = lost[i].Serial
	}
	return w
}

// holds tells whether a message is queued and in the way. It is pure. What was lost was sent
// before anything that was written since, so the peer holds none of the queued messages with the serial of the
// first that was lost, or a later one, or one below that of a lost one of the same conversation.
func (w way) holds(p *store.Placed) bool {
	return p.Queued && (p.Serial >= w.first || p.Serial < w.last[p.Conversation])
}

// makeRoom gives queued messages other serials, above all that comes back and without gaps, in
// their order: where the peer has seen theirs with messages that were lost here, or where they
// would stand before these in their conversation. What comes back under the id of one that was
// written again takes its place. See renumbering for the steps; all may be repeated.
func (l *line) makeRoom(ctx context.Context, r *room, lost []store.Message, again []rewritten) error {
	all := ascending(lost, again)
	if len(all) == 0 {
		return nil
	}
	w := wayOf(all)
	if last := all[len(all)-1].Serial; last > r.upTo {
		upTo, err := l.lastGiven(ctx, last)
		if err != nil {
			return err
		}
		r.upTo = upTo
	} else if blocked, err := l.blocked(ctx, r, w); err != nil || !blocked && len(again) == 0 {
		return err
	}
	m := renumbering{line: l, way: w, upTo: r.upTo}
	if err := m.run(ctx, again); err != nil {
		return &localError{doing: "making room for messages that the peer gives back", err: err}
	}
	r.low, r.waits = m.low, nil
	return nil
}

// blocked tells whether messages that stayed, as those of other conversations came back, are in the way now.
func (l *line) blocked(ctx context.Context, r *room, w way) (_ bool, err error) {
	if r.low == 0 {
		return false, nil
	}
	if r.waits == nil {
		if r.waits, err = l.waiting(ctx, r.upTo); err != nil {
			return false, &localError{doing: "looking for messages in the way of what the peer gives back", err: err}
		}
	}
	for talk, last := range w.last {
		if serial, waits := r.waits[talk]; waits && serial < last {
			return true, nil
		}
	}
	return false, nil
}

// waiting finds the smallest serial of the queued messages of each conversation, of those up to a serial. It
// looks at each message once, however many pages come back.
func (l *line) waiting(ctx context.Context, upTo int64) (map[string]int64, error) {
	first := map[string]int64{}
	from, err := l.whole(ctx)
	if err != nil {
		return nil, err
	}
	err = l.eachPlaced(ctx, from, func(p *store.Placed) bool {
		if _, seen := first[p.Conversation]; p.Queued && !seen && p.Serial <= upTo {
			first[p.Conversation] = p.Serial
		}
		return p.Serial < upTo
	})
	return first, err
}

// whole is the serial up to which every message of ours has a receipt.
func (l *line) whole(ctx context.Context) (serial int64, err error) {
	err = l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) error {
		serial, err = r.Whole(store.Out)
		return err
	})
	return serial, err
}

// eachPlaced shows messages of ours with a larger serial, ascending, while see wants more.
// Each page is read by itself, so that however many they are, nothing else waits for it.
func (l *line) eachPlaced(ctx context.Context, after int64, see func(p *store.Placed) bool) error {
	for {
		var page []store.Placed
		err := l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) (err error) {
			page, err = r.PlacedAfter(after, l.engine.pages.moves)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if !see(&page[i]) {
				return nil
			}
		}
		after = page[len(page)-1].Serial
	}
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
	for step := int64(l.engine.pages.copies); end == 0; step *= 2 {
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
