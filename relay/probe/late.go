// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"slices"
	"time"
)

// tolerance is how late a judgement may be as a matter of course on a busy machine.
// Lateness is remembered for longer than most budgets.
const (
	tolerance  = 50 * time.Millisecond
	remembered = 2 * time.Minute
	lateEvents = 1024
)

// lateness remembers when our own process did not get to run, so that it is not
// held against peers. Like the clocks of this package it is monotonic.
type lateness struct {
	events []lateEvent // the oldest first
}

type lateEvent struct {
	until time.Time
	by    time.Duration
}

// note takes a judgement that came late.
func (l *lateness) note(by time.Duration, now time.Time) {
	if by <= tolerance {
		return
	}
	l.events = slices.DeleteFunc(l.events, func(e lateEvent) bool { return now.Sub(e.until) > remembered })
	if len(l.events) == lateEvents {
		l.events = slices.Delete(l.events, 0, 1)
	}
	l.events = append(l.events, lateEvent{now, by})
}

// since is how much of the time since a moment our process did not get to run.
func (l *lateness) since(from time.Time) (sum time.Duration) {
	for _, e := range slices.Backward(l.events) {
		if !e.until.After(from) {
			break
		}
		sum += min(e.by, e.until.Sub(from))
	}
	return sum
}
