// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net"
	"testing"
	"time"
)

func TestOfManyAcquaintancesTheOneThatWasLongestAwayIsForgotten(t *testing.T) {
	known, now := acquaintances{}, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	at := func(n int) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, byte(n>>8), byte(n))} }
	for n := range maxKnown {
		known.add(prefix(at(n)), now.Add(time.Duration(n)*time.Second))
	}
	now = now.Add(time.Hour)
	known.add(prefix(at(0)), now) // it comes again, and takes the place of nobody
	if !known.has(prefix(at(1)), now) {
		t.Fatal("one is forgotten while there is room")
	}
	known.add(prefix(at(maxKnown)), now)
	for n := range maxKnown + 1 {
		if want := n != 1; known.has(prefix(at(n)), now) != want {
			t.Errorf("source %d is known: %v, want %v", n, !want, want)
		}
	}
	if len(known) != maxKnown {
		t.Errorf("%d are known, want %d", len(known), maxKnown)
	}
	if known.has(prefix(at(0)), now.Add(lately)) {
		t.Error("a day later it is known")
	}
}
