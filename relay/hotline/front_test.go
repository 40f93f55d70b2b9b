// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// queuedAt is a ROUTINE message whose entry is at this place of our journal.
func queuedAt(entry int64) store.Message {
	return store.Message{ID: fmt.Sprint(entry), Serial: entry, Entry: entry, Conversation: fmt.Sprint(entry), Urgency: 3}
}

func ids(list []store.Message) (out []string) {
	for i := range list {
		out = append(out, list[i].ID)
	}
	return out
}

func TestFront(t *testing.T) {
	for name, tt := range map[string]struct {
		do    func(f *front)
		known bool
		want  []string
	}{
		"knows_nothing_before_the_queue_was_read": {do: func(f *front) {
			f.grown(0, 1, []store.Message{queuedAt(1)})
		}},
		"takes_what_is_stored_after_it_was_read": {known: true, want: []string{"1", "2"}, do: func(f *front) {
			f.begin(1)
			f.read([]store.Message{queuedAt(1)}, true, 1)
			f.grown(1, 2, []store.Message{queuedAt(2)})
		}},
		"takes_what_is_stored_while_it_is_read_once": {known: true, want: []string{"2", "3"}, do: func(f *front) {
			f.begin(1)
			f.grown(0, 1, []store.Message{queuedAt(1)}) // told late: the reader has seen it, and it left
			f.grown(1, 2, []store.Message{queuedAt(2)})
			f.grown(2, 3, []store.Message{queuedAt(3)})
			f.read([]store.Message{queuedAt(2)}, true, 2)
		}},
		"knows_nothing_when_another_replica_stored_something": {do: func(f *front) {
			f.begin(1)
			f.read(nil, true, 0)
			f.grown(2, 3, []store.Message{queuedAt(3)})
		}},
		"nor_when_that_was_while_it_was_read": {do: func(f *front) {
			f.begin(1)
			f.grown(2, 3, []store.Message{queuedAt(3)})
			f.read([]store.Message{queuedAt(3)}, true, 3)
		}},
		"leaves_FLASH_to_the_store": {do: func(f *front) {
			f.begin(0)
			f.read(nil, true, 0)
			f.grown(0, 1, []store.Message{{ID: "1", Entry: 1}})
		}},
		"leaves_what_goes_before_others_to_the_store": {do: func(f *front) {
			f.begin(0)
			f.read([]store.Message{queuedAt(1)}, true, 1)
			f.grown(0, 2, []store.Message{{ID: "2", Entry: 2, Urgency: 2}})
		}},
		"does_not_take_what_is_behind_something_unread": {known: true, want: []string{"1"}, do: func(f *front) {
			f.begin(2)
			f.read([]store.Message{queuedAt(1)}, false, 1)
			f.grown(2, 3, []store.Message{queuedAt(3)})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var f front
			tt.do(&f)
			if got := ids(f.list); f.known != tt.known || !slices.Equal(got, tt.want) {
				t.Errorf("it knows %v (%v), want %v (%v)", got, f.known, tt.want, tt.known)
			}
		})
	}
}

func TestFrontIsBounded(t *testing.T) {
	var f front
	f.begin(0)
	f.read(nil, true, 0)
	for i := range int64(2 * maxFront) {
		f.grown(i, i+1, []store.Message{queuedAt(i + 1)})
	}
	if len(f.list) != maxFront || f.whole {
		t.Errorf("it holds %d messages, all of them: %v", len(f.list), f.whole)
	}
	f.drop()
	f.begin(0)
	f.read(nil, true, 0)
	for i := range int64(2) {
		m := queuedAt(i + 1)
		m.Payload = make([]byte, maxFrontBytes*2/3)
		f.grown(i, i+1, []store.Message{m})
	}
	if len(f.list) != 1 || f.whole {
		t.Errorf("it holds %d large messages, all of them: %v", len(f.list), f.whole)
	}
}

// TestFrontIsTheBeginningOfTheQueue lets this relay and another store messages, a lane read, take and
// settle them, in random order, and compares what is known with what the store holds.
func TestFrontIsTheBeginningOfTheQueue(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var f front
		var size int64
		var pending, snapshot []store.Message
		var late [][2]int64 // changes of ours that were not told yet
		flying := map[string]bool{}
		foreign := false // another replica stored something since our last change was told
		tell := func() {
			for _, c := range late {
				var queued []store.Message
				for e := c[0] + 1; e <= c[1]; e++ {
					queued = append(queued, queuedAt(e))
				}
				f.grown(c[0], c[1], queued)
				foreign = false
			}
			late = nil
		}
		reading := false
		for range 300 {
			switch r.IntN(8) {
			case 0, 1, 2: // a change of ours; it may be told later
				from := size
				for range 1 + r.IntN(3) {
					size++
					pending = append(pending, queuedAt(size))
				}
				if late = append(late, [2]int64{from, size}); r.IntN(3) > 0 {
					tell()
				}
			case 3:
				if r.IntN(8) == 0 {
					size++
					pending, foreign = append(pending, queuedAt(size)), true
				}
			case 4:
				tell()
			case 5: // the usual lane reads; in two steps, as the store is
				if !reading {
					f.drop()
					f.begin(size)
					reading = true
				} else if snapshot == nil {
					snapshot = slices.Clone(pending[:min(len(pending), 6)])
					if len(snapshot) == 0 {
						snapshot = []store.Message{}
					}
				} else {
					var seen int64
					rest := slices.DeleteFunc(slices.Clone(snapshot), func(m store.Message) bool {
						seen = max(seen, m.Entry)
						return flying[m.ID]
					})
					f.read(rest, len(snapshot) < 6, seen)
					reading, snapshot = false, nil
				}
			case 6:
				if f.known && len(f.list) > 0 {
					took := slices.Clone(f.list[:1+r.IntN(len(f.list))])
					f.took(took)
					for i := range took {
						flying[took[i].ID] = true
					}
				}
			case 7: // all that flies arrived
				if !reading { // nothing is settled while this model reads: the one lane that reads settles itself
					pending = slices.DeleteFunc(pending, func(m store.Message) bool { return flying[m.ID] })
					clear(flying)
				}
			}
			if !f.known || foreign || len(late) > 0 {
				continue
			}
			rest := ids(slices.DeleteFunc(slices.Clone(pending), func(m store.Message) bool { return flying[m.ID] }))
			got := ids(f.list)
			if f.whole && !slices.Equal(got, rest) || len(got) > len(rest) || !slices.Equal(got, rest[:len(got)]) {
				t.Fatalf("seed %d: it knows %v (all: %v), queued are %v", seed, got, f.whole, rest)
			}
		}
	}
}

func TestTheNextBatchLeavesWhileOneIsUnderWay(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	several := func(n int) (list []store.Message) {
		for i := range n {
			m := queuedAt(int64(i + 1))
			m.Conversation = fmt.Sprint(i % (aheadFrom + 8))
			list = append(list, m)
		}
		return list
	}
	for name, tt := range map[string]struct {
		waits   int
		flashed time.Time
		want    int
	}{
		"if_enough_waits":             {waits: aheadFrom, want: aheadFrom},
		"not_for_a_few":               {waits: aheadFrom - 1},
		"not_soon_after_a_FLASH":      {waits: aheadFrom, flashed: now.Add(-time.Second)},
		"without_what_follows_others": {waits: 2 * (aheadFrom + 8), want: aheadFrom + 7},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(&Engine{cfg: Config{Now: func() time.Time { return now }}}, "bravo.example")
			l.flashed = tt.flashed
			first := store.Message{ID: "first", Conversation: "7", Urgency: 3}
			if tt.want == aheadFrom {
				first.Conversation = "another"
			}
			l.flying[first.ID] = flight{usual, first.Conversation}
			l.front = front{known: true, whole: true, list: append([]store.Message{first}, several(tt.waits)...)}
			l.front.took([]store.Message{first})
			list, _, _, err := l.pick(t.Context(), ahead)
			talks := map[string]bool{}
			for i := range list {
				talks[list[i].Conversation] = true
			}
			if err != nil || len(talks) != tt.want {
				t.Errorf("messages of %d conversations leave, %v; want %d", len(talks), err, tt.want)
			}
			if talks["7"] && tt.want != aheadFrom {
				t.Error("what follows a message that flies left before that arrived")
			}
		})
	}
}

func TestAMessageWhoseTransactionIsNotKnownToBeMade(t *testing.T) {
	bubble(t, "leaves_when_it_was", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		w.alfa.life().untold.Store(true)
		if w.trySend(request(ulidFor(0, 1), "s1")) == nil {
			t.Error("the officer was told that it is stored")
		}
		w.quiet()
		w.alfa.proven(w.bravo, 2)
	})
}

func TestFrontKeepsNothingOfWhatLeft(t *testing.T) {
	var f front
	f.begin(0)
	f.read([]store.Message{queuedAt(1), queuedAt(2), queuedAt(3)}, true, 3)
	all := f.list
	f.took(slices.Clone(all[:2]))
	f.took([]store.Message{queuedAt(3)})
	if f.list != nil || !slices.Equal(ids(all), []string{"", "", ""}) {
		t.Errorf("it holds %v, and memory of %q", ids(f.list), ids(all))
	}
}
