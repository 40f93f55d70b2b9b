// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package route decides over which paths a request goes to a peer: Rank in which
// order, Plan when each is tried. It is pure: paths and what is known of them
// in, decisions out. It dials nothing and remembers nothing.
//
// What Rank remembers of its last answer is the order of its input: who gives
// the paths in the order of the last ranking gets one that does not move with jitter.
package route

import (
	"cmp"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// State of a path, as the heartbeats have it. Any other word counts as Unknown.
type State = report.State

// A path of the same state and priority takes the lead from another only when
// its round trip is shorter by both of these.
const (
	betterBy      = 5 * time.Millisecond
	betterPercent = 20
)

// Path is one way to a peer and what is known about it.
type Path struct {
	// ID names the path, unique among those of one call.
	ID string
	// Priority as configured, the lowest first.
	Priority int32
	// State by its heartbeats.
	State State
	// RoundTrip as measured, smoothed; zero when unknown.
	RoundTrip time.Duration
	// Answer is when an answer to such a request is later than usual over this path: the peer's
	// work counts too. Zero when unknown.
	Answer time.Duration
	// LastWorked is when a connection over it was last proven; zero means never. It
	// counts only while heartbeats do not say more: for Unknown and Down paths.
	LastWorked time.Time
}

// Rank returns the ids in the order in which to try them:
//
//  1. by state: Up, Suspect, Recovering, Unknown, Down;
//  2. a lower priority first;
//  3. of live paths, the one given first, unless another has a clearly shorter
//     round trip: by 5 ms and by 20 %;
//  4. of Unknown and Down paths, the one that worked most recently;
//  5. else the order in which they are given.
//
// No path is left out: when all are down, one of them has to be the first to
// come back.
func Rank(paths []Path) []string {
	ids := make([]string, len(paths))
	for i, p := range ranked(paths) {
		ids[i] = p.ID
	}
	return ids
}

// ranked sorts into groups of one state and priority, and each of these by speed.
func ranked(paths []Path) []Path {
	sorted := slices.Clone(paths)
	slices.SortStableFunc(sorted, func(a, b Path) int {
		order := cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.Priority, b.Priority))
		if order == 0 && !live(a.State) {
			order = b.LastWorked.Compare(a.LastWorked)
		}
		return order
	})
	for from := 0; from < len(sorted); {
		to := from + 1
		for to < len(sorted) && alike(sorted[from], sorted[to]) {
			to++
		}
		if live(sorted[from].State) {
			bySpeed(sorted[from:to])
		}
		from = to
	}
	return sorted
}

// alike tells whether only the round trip can part two paths.
func alike(a, b Path) bool { return rank(a.State) == rank(b.State) && a.Priority == b.Priority }

// bySpeed puts the fastest of those that are clearly faster before the first, and
// goes on so with the rest. "Clearly faster" is no order by itself (it is not
// transitive), what this makes of it is one.
func bySpeed(paths []Path) {
	for ; len(paths) > 1; paths = paths[1:] {
		best := 0
		for i := 1; i < len(paths); i++ {
			if faster(paths[i], paths[0]) && (best == 0 || paths[i].RoundTrip < paths[best].RoundTrip) {
				best = i
			}
		}
		lead := paths[best]
		copy(paths[1:best+1], paths[:best])
		paths[0] = lead
	}
}

// faster tells whether a is clearly faster than b. What was not measured is
// neither faster nor slower.
func faster(a, b Path) bool {
	return a.RoundTrip > 0 && a.RoundTrip <= b.RoundTrip-betterBy &&
		a.RoundTrip <= b.RoundTrip/100*(100-betterPercent)
}

// live tells whether heartbeats arrive, or did so a moment ago.
func live(s State) bool { return rank(s) <= rank(report.Recovering) }

func rank(s State) int {
	switch s {
	case report.Up:
		return 0
	case report.Suspect:
		return 1
	case report.Recovering:
		return 2
	case report.Down:
		return 4
	default:
		return 3
	}
}
