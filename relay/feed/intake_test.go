// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/preempt"
	"github.com/certlink/certlink/relay/store"
)

// pacedStore is a store that lets so many objects in at once.
type pacedStore struct {
	Store
	at int
}

func (s *pacedStore) Pace() int { return s.at }

func TestAnIntakeRestsLongerWhileFLASHWasThereAMomentAgo(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		gate := preempt.New()
		in := &intake{puller: &puller{Engine: &Engine{cfg: Config{Store: &pacedStore{at: 50}, Preempt: gate}}}}
		in.rest(t.Context())
		gate.Begin()()
		<-time.After(3 * time.Millisecond) // it works
		begin := time.Now()
		if in.rest(t.Context()); time.Since(begin) != 18*time.Millisecond {
			t.Errorf("after 3 ms of work it rests for %v", time.Since(begin))
		}
	})
}

func TestAnIntakeWaitsForFLASHAndDoesNotRestForThatWait(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		gate := preempt.New()
		in := &intake{puller: &puller{Engine: &Engine{cfg: Config{Store: &pacedStore{at: 50}, Preempt: gate}}}}
		gate.Begin() // and it does not end
		in.rest(t.Context())
		for range 2 {
			<-time.After(3 * time.Millisecond) // it works
			begin := time.Now()
			if in.rest(t.Context()); time.Since(begin) != 18*time.Millisecond+preempt.Longest {
				t.Errorf("after 3 ms of work it goes on after %v", time.Since(begin))
			}
		}
	})
}

// TestAnIntakeGoesOnUnderFLASHWithoutEnd: a peer that sends FLASH after FLASH does not stop the feeds of others. The figures
// are those of docs/threat-model.md.
func TestAnIntakeGoesOnUnderFLASHWithoutEnd(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		gate := preempt.New()
		in := &intake{puller: &puller{Engine: &Engine{cfg: Config{Store: &pacedStore{at: 50}, Preempt: gate}}}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for end := gate.Begin(); ctx.Err() == nil; {
				next := gate.Begin() // there is none without one of them
				end()
				end = next
				<-time.After(5 * time.Millisecond)
			}
		}()
		for range 20 {
			begun := time.Now()
			in.rest(t.Context())
			if waited := time.Since(begun); waited > 300*time.Millisecond {
				t.Errorf("for its next objects it waits %v", waited)
			}
		}
		stop()
		<-ended
	})
}

func TestAnIntakeRestsWhileMessagesAreExchangedAndOnlyThen(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := &pacedStore{at: store.MaxRecords}
		in := &intake{puller: &puller{Engine: &Engine{cfg: Config{Store: s}}}}
		rest := func(worked time.Duration) time.Duration {
			<-time.After(worked) // the bubble's time, in which it works
			begin := time.Now()
			in.rest(t.Context())
			return time.Since(begin)
		}
		for _, c := range []struct {
			pace         int
			worked, want time.Duration
		}{
			{250, time.Second, 0}, // the first has nothing to compare with
			{250, 5 * time.Millisecond, 10 * time.Millisecond},
			{250, time.Second, longestRest},
			{store.MaxRecords, time.Second, 0},
			{250, 3 * time.Millisecond, 6 * time.Millisecond},
		} {
			if s.at = c.pace; rest(c.worked) != c.want {
				t.Errorf("at a pace of %d, after %v of work, it does not rest for %v", c.pace, c.worked, c.want)
			}
		}
	})
}
