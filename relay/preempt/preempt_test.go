// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package preempt_test

import (
	"context"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/preempt"
)

// took is how long f takes by the clock of the bubble.
func took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

func TestOtherWorkWaitsForFLASHAndNotForLong(t *testing.T) {
	for name, c := range map[string]struct {
		// meanwhile happens before somebody asks to go on.
		meanwhile func(g *preempt.Gate)
		want      time.Duration
	}{
		"none_is_under_way": {func(*preempt.Gate) {}, 0},
		"one_has_ended":     {func(g *preempt.Gate) { g.Begin()() }, 0},
		"one_ends": {func(g *preempt.Gate) {
			end := g.Begin()
			time.AfterFunc(7*time.Millisecond, end)
		}, 7 * time.Millisecond},
		"the_last_of_two_ends": {func(g *preempt.Gate) {
			time.AfterFunc(7*time.Millisecond, g.Begin())
			time.AfterFunc(9*time.Millisecond, g.Begin())
		}, 9 * time.Millisecond},
		"an_end_that_is_told_twice_ends_no_other": {func(g *preempt.Gate) {
			first := g.Begin()
			time.AfterFunc(9*time.Millisecond, g.Begin())
			first()
			first()
		}, 9 * time.Millisecond},
		"one_does_not_end": {func(g *preempt.Gate) { g.Begin() }, preempt.Longest},
		"one_is_about_to_be_stale": {func(g *preempt.Gate) {
			g.Begin()
			<-time.After(time.Second - 3*time.Millisecond)
		}, 3 * time.Millisecond},
		"one_is_stale": {func(g *preempt.Gate) {
			g.Begin()
			<-time.After(time.Second)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				g := preempt.New()
				c.meanwhile(g)
				if got := took(func() { g.GiveWay(t.Context()) }); got != c.want {
					t.Errorf("it waited %s, not %s", got, c.want)
				}
			})
		})
	}
}

func TestOtherWorkRestsWhileFLASHWasThereLately(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		g := preempt.New()
		rest := func(worked time.Duration) time.Duration {
			return took(func() { g.Rest(t.Context(), worked, 3) })
		}
		if got := rest(time.Millisecond); got != 0 {
			t.Errorf("without any FLASH it rested %s", got)
		}
		g.Begin()()
		if got := rest(4 * time.Millisecond); got != 12*time.Millisecond {
			t.Errorf("it rested %s after 4 ms of work, not three times as long", got)
		}
		if got := rest(time.Minute); got != 100*time.Millisecond {
			t.Errorf("it rested %s", got)
		}
		<-time.After(2 * time.Second)
		if got := rest(time.Millisecond); got != 0 {
			t.Errorf("two seconds after the last FLASH it rested %s", got)
		}
	})
}

func TestWhoGoesAwayWaitsNoLonger(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		g := preempt.New()
		g.Begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got := took(func() { g.GiveWay(ctx) }); got != time.Millisecond {
			t.Errorf("it waited %s", got)
		}
	})
}

func TestANilGateKnowsOfNoFLASH(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		var g *preempt.Gate
		g.Begin()()
		if got := took(func() { g.GiveWay(t.Context()); g.Rest(t.Context(), time.Second, 2) }); got != 0 || g.Lately() {
			t.Errorf("it waited %s", got)
		}
	})
}
