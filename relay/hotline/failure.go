// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"math/rand/v2"
	"time"
)

// The back-off after failures in a row: 1 s, doubled each time up to 30 s, of
// which up to a quarter is taken off by chance, so that peers that lost each
// other at the same moment do not meet again at the same moments.
const (
	shortestBackoff = time.Second
	longestBackoff  = 30 * time.Second
)

// maxHeld is the largest number of messages with a failure of their own after
// which the next is sent at once. More are no accident of the messages: each
// further failure is one of the line, too, which slows down.
const maxHeld = 32

// failure is a row of failed attempts.
type failure struct {
	attempts int
	until    time.Time
	text     string
	// conversation of the message that failed; "" for a failure of the line.
	conversation string
}

// again is the failure after one more attempt.
func (f failure) again(now time.Time, err error) failure {
	f.attempts++
	f.until = now.Add(backoff(f.attempts))
	f.text = forPeople(err)
	return f
}

// forgive starts the row anew.
func (f *failure) forgive() { f.attempts, f.until = 0, time.Time{} }

// backoff after the n-th failure in a row.
func backoff(n int) time.Duration {
	d := longestBackoff
	if n <= 5 {
		d = min(d, shortestBackoff<<(n-1))
	}
	return d - rand.N(d/4)
}
