// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// A peer that says something else ten times a second must not make our operator
// write as often; its last word comes through all the same.
func TestAPeerDoesNotSetThePaceOfTheReport(t *testing.T) {
	p := newPeer(&Engine{}, "bravo.example")
	now := time.Unix(1_800_000_000, 0)
	look := func(state, fault string) *report.Peer {
		r := &report.Peer{Offer: &report.Offer{State: state, ReceivedAt: now.Truncate(step)}, Trust: &report.Trust{Fingerprint: "ours " + state, Error: fault}}
		p.calm(r, now)
		return r
	}
	changes, last := 0, ""
	for i := range 6000 { // ten minutes
		now = now.Add(100 * time.Millisecond)
		r := look([]string{"Active", "Suspended"}[i%2], fmt.Sprint(i))
		if is := r.Offer.State + r.Trust.Error; is != last {
			changes, last = changes+1, is
		}
		if !r.Offer.ReceivedAt.Equal(now.Truncate(step)) {
			t.Fatal("offers that come count as stale")
		}
		if want := "ours " + []string{"Active", "Suspended"}[i%2]; r.Trust.Fingerprint != want {
			t.Fatalf("in force is %q, want %q: that is ours to say", r.Trust.Fingerprint, want)
		}
	}
	if most := maxShown + int(10*time.Minute/showEvery) + 1; changes > most || changes < maxShown {
		t.Errorf("%d changes in ten minutes, at most %d may be", changes, most)
	}
	now = now.Add(showEvery)
	if r := look("Drained", "the last word"); r.Offer.State != "Drained" || r.Trust.Error != "the last word" {
		t.Errorf("the last word is %q, %q", r.Offer.State, r.Trust.Error)
	}
}
