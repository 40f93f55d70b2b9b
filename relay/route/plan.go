// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"time"

	"github.com/certlink/certlink/relay/report"
)

const (
	// shortestWait is the least time that a live path has for its answer: on a
	// short way the peer's disk takes longer than the network.
	shortestWait = 20 * time.Millisecond
	// blindWait is that of a path whose round trip nobody knows, as RFC 8305
	// section 8 has it for attempts to connect.
	blindWait = 250 * time.Millisecond
)

// Attempt is one try of a request.
type Attempt struct {
	// ID of the path.
	ID string
	// After this time since the request began, unless an answer has come.
	After time.Duration
}

// Plan says when to begin the same idempotent request on each path, in the order
// of Rank: on the first at once, and on each next one when the one before has
// had 1.1 round trips for its answer, 20 ms at the least, and as long as answers take. If the first is not Up, the
// second does not wait. The first `copies` go at once (less than 1 means 1).
//
// An attempt that fails is a reason to begin the next one at once; that is for
// the caller to do.
func Plan(paths []Path, copies int) []Attempt {
	order := ranked(paths)
	if len(order) > 0 && order[0].State != report.Up {
		copies = max(copies, 2)
	}
	attempts := make([]Attempt, len(order))
	var after time.Duration
	for i, p := range order {
		if i > 0 && i >= copies {
			after += wait(order[i-1])
		}
		attempts[i] = Attempt{ID: p.ID, After: after}
	}
	return attempts
}

// wait is how long an answer over a path may take before the next is tried too.
func wait(p Path) time.Duration {
	if p.RoundTrip <= 0 || !live(p.State) {
		return blindWait
	}
	return max(p.RoundTrip+p.RoundTrip/10, p.Answer, shortestWait)
}
