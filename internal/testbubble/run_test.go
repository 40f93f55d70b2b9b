// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testbubble

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// Without the limit the race detector ends the process here, nearly each time.
func TestTimersOfABubbleThatAreDueAtOnceDoNotBreakTheRaceDetector(t *testing.T) {
	Run(t, func(*testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20_000 {
					<-time.NewTimer(0).C
				}
			})
		}
		wg.Wait()
	})
}

func TestTheProcessorsComeBackWithTheLastBubble(t *testing.T) {
	before := runtime.GOMAXPROCS(3)
	defer runtime.GOMAXPROCS(before)
	var l limit
	l.one()
	l.one()
	l.all()
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("%d processors while a bubble runs, want 1", n)
	}
	l.all()
	if n := runtime.GOMAXPROCS(0); n != 3 {
		t.Errorf("%d processors when the last bubble has ended, want 3", n)
	}
}
