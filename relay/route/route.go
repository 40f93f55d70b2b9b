// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package route ranks the paths to a peer. It is pure: paths and their recent
// history in, their order out. It dials nothing and remembers nothing.
package route

import (
	"cmp"
	"slices"
	"time"
)

// Path is one address of a peer and what is known about it.
type Path struct {
	// Address is HOST:PORT.
	Address string
	// Priority as configured, the lowest first.
	Priority int32
	// Down is true when probes, or the last dial, say that it does not work.
	Down bool
	// LastWorked is when a connection over it was last proven; zero means never.
	LastWorked time.Time
}

// Rank returns the addresses in the order in which to try them:
//
//  1. paths that are not down before those that are;
//  2. a lower priority first;
//  3. the one that worked most recently first;
//  4. else the order in which they are configured.
//
// No path is left out: when all are down, one of them has to be the first to
// come back.
func Rank(paths []Path) []string {
	ranked := slices.Clone(paths)
	slices.SortStableFunc(ranked, func(a, b Path) int {
		return cmp.Or(
			cmp.Compare(index(a.Down), index(b.Down)),
			cmp.Compare(a.Priority, b.Priority),
			b.LastWorked.Compare(a.LastWorked),
		)
	})
	addresses := make([]string, len(ranked))
	for i, p := range ranked {
		addresses[i] = p.Address
	}
	return addresses
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}
