// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// talks reads messages like "5a 6b": serial and conversation.
func talks(text string) (list []store.Message) {
	for word := range strings.FieldsSeq(text) {
		m := store.Message{ID: word}
		_, _ = fmt.Sscanf(word, "%d%s", &m.Serial, &m.Conversation)
		list = append(list, m)
	}
	return list
}

func TestInTheWay(t *testing.T) {
	for name, tt := range map[string]struct{ queued, lost, moves string }{
		"nothing_is_queued":                            {"", "5a", ""},
		"what_waits_since_before_stays":                {"2b 3c", "5a 6a", ""},
		"what_has_a_lost_serial_moves":                 {"5b", "5a", "5b"},
		"and_all_that_follow_it":                       {"5b 6c 7b 9d", "5a", "5b 6c 7b 9d"},
		"what_is_below_moves_before_its_conversation":  {"3b 4a 6c", "5a 8a", "4a 6c"},
		"a_later_one_of_the_conversation_counts_as_so": {"4a", "5b 6a", "4a"},
	} {
		var got []string
		w := wayOf(talks(tt.lost))
		for _, m := range talks(tt.queued) {
			if w.holds(&store.Placed{ID: m.ID, Serial: m.Serial, Conversation: m.Conversation, Queued: true}) {
				got = append(got, m.ID)
			}
		}
		if strings.Join(got, " ") != tt.moves {
			t.Errorf("%s: %q move, want %q", name, got, tt.moves)
		}
	}
}

func TestPagesThatComeBackDoNotEachLookAtAllThatWaits(t *testing.T) {
	bubble(t, "but_once_together", func(t *testing.T, w *world) {
		var looks atomic.Int64
		w.takes(pages{copies: 10, moves: 10})
		w.faults(cut)
		w.alfa.fill(1, 200)
		w.faults(func(s step) outcome {
			if s == (step{"alfa", "Placed"}) {
				looks.Add(1)
			}
			return cut(s)
		})
		l := w.alfa.engine().lineTo("bravo.example")
		r := &room{upTo: 5000, low: 200}
		for i := range int64(50) {
			at := 1000 + 10*i
			if found, err := l.blocked(t.Context(), r, way{first: at, last: map[string]int64{"another": at + 9}}); found || err != nil {
				t.Fatalf("page %d: %t, %v", i, found, err)
			}
		}
		if n := looks.Load(); n > 25 {
			t.Errorf("200 messages were read in %d pages", n)
		}
		if found, err := l.blocked(t.Context(), r, way{first: 2000, last: map[string]int64{"talk-1": 2000}}); !found || err != nil {
			t.Errorf("one that waits before what comes back in its conversation: %t, %v", found, err)
		}
	})
}
