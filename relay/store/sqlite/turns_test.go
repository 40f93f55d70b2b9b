// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
)

// crowd writes without pause in a bubble, and notes what became of it.
type crowd struct {
	turns *turns
	mu    sync.Mutex // guards what follows
	// longest is how long a feed waited at most, turned how often a lane had its turn, ended when a feed's turn ended last,
	// and close how short a time after that the next one began, beside hotlines that waited.
	longest time.Duration
	turned  [lanes]int
	ended   time.Time
	close   time.Duration
}

// write takes turns of one lane until the end of ctx, each for so long.
func (c *crowd) write(ctx context.Context, l lane, takes time.Duration) {
	for ctx.Err() == nil {
		asked := time.Now()
		leave, err := c.turns.take(ctx, l)
		if c.note(l, asked, err == nil); err != nil {
			return
		}
		<-time.After(takes)
		c.mu.Lock()
		c.turned[l]++
		if l == feed {
			c.ended = time.Now()
		}
		c.mu.Unlock()
		leave()
	}
}

// note is called when a turn begins, or is no longer waited for.
func (c *crowd) note(l lane, asked time.Time, begun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l != feed {
		return
	}
	c.longest = max(c.longest, time.Since(asked))
	c.turns.mu.Lock()
	before := len(c.turns.waiting[hotline])
	c.turns.mu.Unlock()
	if begun && before > 0 && !c.ended.IsZero() {
		c.close = min(c.close, time.Since(c.ended))
	}
}

func TestAFeedHasItsTurnInTimeBesideHotlinesThatWriteWithoutPause(t *testing.T) {
	const message, page = time.Millisecond, 3 * time.Millisecond
	for name, c := range map[string]struct {
		lines, feeds int
		page         time.Duration
		longest      time.Duration
	}{
		"one_feed":                     {32, 1, page, patience + message},
		"one_feed_beside_two_lines":    {2, 1, page, patience + message},
		"twenty_feeds":                 {32, 20, page, patience + 20*(page+apart+message)},
		"two_feeds_with_long_turns":    {32, 2, 100 * time.Millisecond, patience + 2*(200*time.Millisecond+message)},
		"feeds_that_nobody_else_is_by": {0, 2, page, page},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				crowd := &crowd{turns: newTurns(), close: time.Hour}
				var wg sync.WaitGroup
				for range c.lines {
					wg.Go(func() { crowd.write(ctx, hotline, message) })
				}
				for range c.feeds {
					wg.Go(func() { crowd.write(ctx, feed, c.page) })
				}
				wg.Wait()
				if crowd.longest > c.longest {
					t.Errorf("a feed waited for %v, want %v at most", crowd.longest, c.longest)
				}
				if c.lines == 0 {
					return
				}
				if crowd.close < max(apart, c.page) {
					t.Errorf("a feed had its turn before hotlines %v after another, want %v at least", crowd.close, max(apart, c.page))
				}
				if busy := time.Duration(crowd.turned[hotline]) * message; busy < 5*time.Second {
					t.Errorf("hotlines had %v of 10 s, want half at least", busy)
				}
			})
		})
	}
}

func TestAFeedThatGivesUpWhenItsTurnComesPassesItOn(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		turns := newTurns()
		leave, err := turns.take(t.Context(), hotline)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		given := make(chan error, 1)
		go func() {
			leave, err := turns.take(ctx, feed)
			if err == nil {
				leave()
			}
			given <- err
		}()
		<-time.After(2 * patience) // at the very moment at which the feed gives up
		leave()
		<-given
		if leave, err := turns.take(t.Context(), hotline); err != nil {
			t.Error(err)
		} else {
			leave()
		}
	})
}
