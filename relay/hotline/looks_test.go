// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func TestAnExpressLaneReadsNothingBehindWhatIsFlash(t *testing.T) {
	first := looksAt(express1, 1000)
	full := func(flash, limit int) []store.Message {
		list := make([]store.Message, limit)
		for i := range list[flash:] {
			list[flash+i].Urgency = 3
		}
		return list
	}
	if first > 16 {
		t.Errorf("an express lane begins with %d messages", first)
	}
	for name, c := range map[string]struct {
		pending []store.Message
		limit   int
		lane    lane
		want    bool
	}{
		"thousands of ROUTINE wait and no FLASH":    {full(0, first), first, express2, true},
		"one FLASH, which flies already, is first":  {full(1, first), first, express2, true},
		"all that was read is FLASH":                {full(first, first), first, express2, false},
		"so many are FLASH that no more can be had": {full(store.MaxMessages, store.MaxMessages), store.MaxMessages, express1, true},
		"fewer wait than were asked for":            {full(1, 1), first, express1, true},
		"nothing waits":                             {nil, first, express1, true},
		"the usual lane must look further":          {full(0, 300), 300, usual, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := seen(c.pending, c.limit, c.lane); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestALaneOfFlashThatCannotReadTheQueue(t *testing.T) {
	bubble(t, "is_not_reported_once_it_can_again_though_nothing_is_sent", func(t *testing.T, w *world) {
		w.alfa.send(request("", "s"))
		w.quiet()
		failed := new(atomic.Bool)
		w.faults(func(s step) outcome {
			if s == (step{"alfa", "Pending"}) && failed.CompareAndSwap(false, true) {
				return fails
			}
			return works
		})
		l := w.alfa.engine().lineTo("bravo.example")
		l.pokeLanes(l.wakes[express1 : express1+1])
		w.quiet()
		if r := w.alfa.report(); !failed.Load() || r.Error != "" {
			t.Errorf("reading failed: %v; an hour later the report says %q", failed.Load(), r.Error)
		}
	})
}
