// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"testing"
	"time"
)

// Each step is a second after the one before.
func TestOnlyBytesThatNobodyAcknowledgesEndATunnel(t *testing.T) {
	type kernel struct {
		waiting bool
		acked   time.Duration
	}
	steps := func(n int, k func(i int) kernel) (out []kernel) {
		for i := range n {
			out = append(out, k(i))
		}
		return out
	}
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for _, c := range []struct {
		name string
		seen []kernel
		over bool
	}{
		{"nothing_was_sent", steps(60, func(i int) kernel { return kernel{false, seconds(i)} }), false},
		{"a_reader_that_pauses_lets_nothing_out", steps(60, func(i int) kernel { return kernel{i < 2, seconds(i)} }), false},
		{"a_busy_one_has_always_something_under_way", steps(60, func(int) kernel { return kernel{true, 50 * time.Millisecond} }), false},
		{"long_idle_before", steps(9, func(i int) kernel { return kernel{true, seconds(3600 + i)} }), false},
		{"nobody_acknowledges", steps(11, func(i int) kernel { return kernel{true, seconds(3600 + i)} }), true},
		{"an_acknowledgement_begins_the_time_anew", steps(18, func(i int) kernel { return kernel{true, seconds(i % 9)} }), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var u unheard
			now, over := time.Now(), false
			for _, k := range c.seen {
				over = u.note(k.waiting, k.acked, now)
				now = now.Add(time.Second)
			}
			if over != c.over {
				t.Errorf("over = %v", over)
			}
		})
	}
}

// What was sent after the kernel was asked, or while it was, is asked about.
func TestTheKernelIsAskedOnlyAfterAWrite(t *testing.T) {
	var u unheard
	now := time.Now()
	for i, step := range []struct {
		writes       uint64
		maybe, waits bool
	}{
		{0, true, false},                     // the first time
		{0, false, false}, {0, false, false}, // nothing was sent
		{2, true, false}, {2, false, false}, // something was, and is acknowledged
		{3, true, false}, {3, true, false}, // a write is under way, and has put nothing on the wire yet
		{4, true, true}, {4, true, true}, {4, true, false}, // it waits, and is acknowledged
		{4, false, false},
	} {
		if got := u.maybe(step.writes); got != step.maybe {
			t.Fatalf("step %d: asked %v", i, got)
		}
		if step.maybe {
			u.note(step.waits, time.Minute, now)
		}
		now = now.Add(time.Second)
	}
}
