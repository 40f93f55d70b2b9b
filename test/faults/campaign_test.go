// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"testing"
	"time"

	"github.com/certlink/certlink/test/campaign"
)

// The short campaign; make bench-faults runs the long one. Only what is left at the end
// decides, not how long it took. At the end an older copy of one store is restored.
func TestNoMessageIsLostDoubledOrReorderedWhileFaultsHitBothRelays(t *testing.T) {
	dir := t.TempDir()
	relay, err := campaign.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c := campaign.Config{Seed: 20, Messages: 2000, Faults: 24, Rollback: 100, Relay: relay, Dir: dir, Patience: 5 * time.Minute, Say: t.Logf}
	result, err := c.Run(t.Context())
	if err != nil {
		t.Fatalf("seed %d: %v; stores and logs are in %s", c.Seed, err, result.Kept)
	}
	if !result.Good() {
		t.Fatalf("seed %d: %+v; stores and logs are in %s", c.Seed, result.Verdict, result.Kept)
	}
	if result.Messages != c.Messages+2*c.Rollback || result.Faults() != c.Faults+1 {
		t.Errorf("%d messages and %d faults", result.Messages, result.Faults())
	}
}
