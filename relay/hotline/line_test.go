// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// outbox is a store of which only Pending is asked.
type outbox struct {
	Store
	queued []store.Message
}

func (o outbox) Pending(_ context.Context, _ string, limit int, without ...string) ([]store.Message, error) {
	var found []store.Message
	for _, m := range o.queued {
		if len(found) < limit && !slices.Contains(without, m.Conversation) {
			found = append(found, m)
		}
	}
	return found, nil
}

// TestWhatWaitsBehindARefusedMessageHidesNothing: more waits there than one look
// finds.
func TestWhatWaitsBehindARefusedMessageHidesNothing(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var queued []store.Message
	for range store.MaxMessages + 1 {
		queued = append(queued, store.Message{ID: "behind", Conversation: "a", Urgency: 3})
	}
	queued[0].ID = "refused"
	queued = append(queued, store.Message{ID: "free", Conversation: "b", Urgency: 3})
	l := newLine(&Engine{cfg: Config{Store: outbox{queued: queued}, Now: func() time.Time { return now }}}, "bravo.example")
	for _, c := range []struct {
		name  string
		until time.Time
		want  string
	}{
		{"while it waits", now.Add(time.Second), "free"},
		{"when its time has come", now, "refused"},
	} {
		l.held["refused"] = failure{attempts: 1, until: c.until, conversation: "a"}
		list, _, _, err := l.pick(t.Context(), usual)
		l.land(usual, list)
		if err != nil || len(list) == 0 || list[0].ID != c.want {
			t.Errorf("%s: %d messages are next, %v; want %q", c.name, len(list), err, c.want)
		}
	}
	l.held["refused"] = failure{attempts: 1, until: now.Add(time.Second), conversation: "a"}
	l.engine.cfg.Store = outbox{queued: queued[:store.MaxMessages]}
	if list, until, _, err := l.pick(t.Context(), usual); err != nil || len(list) != 0 || !until.Equal(now.Add(time.Second)) {
		t.Errorf("alone: %d messages are next, not before %v, %v", len(list), until, err)
	}
}

func TestChoose(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	later := failure{until: now.Add(time.Minute)}
	flash := func(id, talk string) store.Message { return store.Message{ID: id, Conversation: talk} }
	routine := func(id, talk string) store.Message {
		return store.Message{ID: id, Conversation: talk, Urgency: 3}
	}
	for name, tt := range map[string]struct {
		pending []store.Message
		held    map[string]failure
		flying  map[string]flight
		crowded bool
		lane    lane
		want    []string
		next    time.Time
	}{
		"all_that_is_not_FLASH":                      {pending: []store.Message{flash("1", "a"), routine("2", "b"), routine("3", "b")}, want: []string{"2", "3"}},
		"FLASH_only_in_an_express_lane":              {pending: []store.Message{flash("1", "a"), flash("2", "a"), routine("3", "b")}, lane: express1, want: []string{"1", "2"}},
		"nothing_behind_FLASH_in_its_conversation":   {pending: []store.Message{flash("1", "a"), routine("2", "a"), routine("3", "b")}, want: []string{"3"}},
		"nothing_that_flies_nor_what_follows_it":     {pending: []store.Message{routine("1", "a"), routine("2", "a"), routine("3", "b")}, flying: map[string]flight{"1": {usual, "a"}}, want: []string{"3"}},
		"FLASH_does_not_wait_for_the_usual_lane":     {pending: []store.Message{flash("1", "a"), flash("2", "a")}, flying: map[string]flight{"1": {usual, "a"}}, lane: express1, want: []string{"1", "2"}},
		"but_for_another_express_lane":               {pending: []store.Message{flash("1", "a"), flash("2", "a"), flash("3", "b")}, flying: map[string]flight{"1": {express1, "a"}}, lane: express2, want: []string{"3"}},
		"nothing_behind_what_flies_and_was_not_read": {pending: []store.Message{routine("2", "a"), routine("3", "b")}, flying: map[string]flight{"1": {ahead, "a"}}, want: []string{"3"}},
		"nothing_behind_what_was_refused":            {pending: []store.Message{routine("1", "a"), routine("2", "a"), routine("3", "b")}, held: map[string]failure{"1": later}, want: []string{"3"}, next: later.until},
		"what_was_refused_alone_when_it_is_time":     {pending: []store.Message{routine("1", "a"), routine("2", "a"), routine("3", "b")}, held: map[string]failure{"1": {until: now}}, want: []string{"1", "3"}},
		"nothing_that_was_refused_when_crowded":      {pending: []store.Message{routine("1", "a"), routine("3", "b")}, held: map[string]failure{"1": {until: now}}, crowded: true, want: []string{"3"}},
	} {
		t.Run(name, func(t *testing.T) {
			list, next := choose(tt.pending, tt.held, tt.flying, tt.lane, now, tt.crowded)
			var got []string
			for _, m := range list {
				got = append(got, m.ID)
			}
			if !slices.Equal(got, tt.want) || !next.Equal(tt.next) {
				t.Errorf("it takes %v, next %v; want %v, %v", got, next, tt.want, tt.next)
			}
		})
	}
}

// GlanceLine shows the size of our journal alone.
func (o *growing) GlanceLine(_ context.Context, _ string, read func(store.LineReader) error) error {
	return read(sized{size: o.size})
}

// growing is an outbox that grows and shrinks, and the size of its journal.
type growing struct {
	outbox
	size int64
}

type sized struct {
	store.LineReader
	size int64
}

func (s sized) Journal() (store.Checkpoint, int64, error) {
	return store.Checkpoint{Size: s.size}, 0, nil
}

// TestTwoBatchesUnderWayKeepConversationsInOrder lets messages be stored, two lanes take them, and
// their batches arrive or fail, in random order.
func TestTwoBatchesUnderWayKeepConversationsInOrder(t *testing.T) {
	both := 0
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		kept := &growing{}
		l := newLine(&Engine{cfg: Config{Store: kept, Now: time.Now}}, "bravo.example")
		flies := map[lane][]store.Message{}
		for range 200 {
			n := lane(r.IntN(2))
			switch list := flies[n]; {
			case r.IntN(3) == 0:
				done := &written{from: kept.size}
				for range 1 + r.IntN(200) {
					kept.size++
					m := queuedAt(kept.size)
					m.Conversation = fmt.Sprint(r.IntN(300))
					done.queued = append(done.queued, m)
				}
				done.added.Checkpoint.Size = kept.size
				kept.queued = append(kept.queued, done.queued...)
				l.queuedNow(done)
			case len(list) == 0:
				flies[n], _, _, _ = l.pick(t.Context(), n)
				leavesInOrder(t, kept.queued, flies[n])
				if len(flies[usual]) > 0 && len(flies[ahead]) > 0 {
					both++
				}
			default:
				if r.IntN(4) == 0 {
					l.forgetFront() // they are queued again
				} else {
					gone := ids(list)
					kept.queued = slices.DeleteFunc(kept.queued, func(m store.Message) bool { return slices.Contains(gone, m.ID) })
				}
				l.land(n, list)
				delete(flies, n)
			}
		}
	}
	if both == 0 {
		t.Error("two batches were never under way")
	}
}

// leavesInOrder fails if a message leaves before one that was queued earlier in its conversation, and
// is neither in the same batch nor at the peer.
func leavesInOrder(t *testing.T, queued, list []store.Message) {
	t.Helper()
	leaves, waits := map[string]bool{}, map[string]bool{}
	for i := range list {
		leaves[list[i].ID] = true
	}
	for i := range queued {
		switch m := &queued[i]; {
		case !leaves[m.ID]:
			waits[m.Conversation] = true
		case waits[m.Conversation]:
			t.Fatalf("message %s leaves before one that is ahead of it in its conversation", m.ID)
		}
	}
}
