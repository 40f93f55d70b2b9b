// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
)

func mustTake(t *testing.T, s *slots, caller string) func() {
	t.Helper()
	release, err := s.take(t.Context(), caller)
	if err != nil {
		t.Fatalf("%s: %v", caller, err)
	}
	return release
}

func TestASlotGoesToTheCallerWithTheFewest(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := newSlots()
		var held []func()
		for i := range MaxRequests {
			held = append(held, mustTake(t, s, fmt.Sprint("busy", i/MaxRequestsPerCaller)))
		}
		order := make(chan string, 20)
		wait := func(caller string) {
			go func() {
				release, err := s.take(t.Context(), caller)
				if err != nil {
					order <- err.Error()
					return
				}
				order <- caller
				<-time.After(time.Second)
				release()
			}()
			synctest.Wait()
		}
		for range 3 {
			wait("busy0")
		}
		wait("bravo")
		wait("charlie")
		wait("bravo")
		for _, release := range held[:4] { // busy0 has none left
			release()
			synctest.Wait()
		}
		// bravo and charlie had none, busy0 had three and then two.
		want := []string{"bravo", "charlie"}
		for i := range want {
			if got := <-order; got != want[i] {
				t.Errorf("turn %d is %s's, want %s", i, got, want[i])
			}
		}
		for _, release := range held[4:] {
			release()
		}
		<-time.After(10 * time.Second)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(order) != 4 || s.inUse != 0 || len(s.callers) != 0 {
			t.Errorf("%d turns are left, %d slots in use, %d callers known", len(order), s.inUse, len(s.callers))
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := newSlots()
		for range MaxRequestsPerCaller {
			mustTake(t, s, "bravo")
		}
		begun := time.Now()
		ends := make(chan error, MaxWaiting)
		for range MaxWaiting {
			go func() { _, err := s.take(t.Context(), "bravo"); ends <- err }()
		}
		synctest.Wait()
		var told *ProtocolError
		if _, err := s.take(t.Context(), "bravo"); !errors.As(err, &told) || told.Status != 503 || time.Since(begun) != 0 {
			t.Errorf("one more than may wait: %v after %v", err, time.Since(begun))
		}
		mustTake(t, s, "charlie")() // others do not wait
		for range MaxWaiting {
			if err := <-ends; !errors.As(err, &told) || time.Since(begun) != MaxWait {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := s.take(ctx, "bravo"); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who has gone: %v", err)
		}
		if c := s.callers["bravo"]; len(c.waiting) != 0 || s.inUse != MaxRequestsPerCaller {
			t.Errorf("%d wait, %d slots in use", len(c.waiting), s.inUse)
		}
	})
}

// TestSlotsStayWithinTheirBounds lets many callers come, wait, give up and end at
// random moments.
func TestSlotsStayWithinTheirBounds(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := newSlots()
		done := make(chan bool)
		const requests = 2000
		for i := range requests {
			go func() {
				random := rand.New(rand.NewPCG(uint64(i), 1))
				<-time.After(time.Duration(random.IntN(60_000)) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(10_000))*time.Millisecond)
				defer cancel()
				release, err := s.take(ctx, fmt.Sprint("c", random.IntN(9)))
				if err == nil {
					s.mu.Lock()
					all := 0
					for name, c := range s.callers {
						if all += c.inUse; c.inUse > MaxRequestsPerCaller {
							t.Errorf("%s has %d", name, c.inUse)
						}
					}
					if all != s.inUse || all > MaxRequests {
						t.Errorf("%d in use, %d counted", all, s.inUse)
					}
					s.mu.Unlock()
					<-time.After(time.Duration(random.IntN(2_000)) * time.Millisecond)
					release()
				}
				done <- err == nil
			}()
		}
		served := 0
		for range requests {
			if <-done {
				served++
			}
		}
		if served < requests/10 || s.inUse != 0 || len(s.callers) != 0 {
			t.Errorf("%d served, %d in use, %d callers known", served, s.inUse, len(s.callers))
		}
	})
}
