// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"strings"
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
