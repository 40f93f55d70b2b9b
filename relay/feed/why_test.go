// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

func idOf(t *testing.T, raw string) string {
	t.Helper()
	o, err := stix.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return o.ID
}

func TestWhySaysWhatWasDecided(t *testing.T) {
	alfa, _ := pair(t)
	shared, red, bare := indicator(1, greenID), indicator(2, redID), indicator(3)
	push(t, alfa, "own", envelope(shared, red, bare))
	eventually(t, "alfa has decided", func() bool { e := exportOf(t, alfa); return e.Stored == 3 && e.Undecided == 0 })
	for _, c := range []struct {
		name, object, peer string
		outcome            desk.Outcome
		reason, message    string
		stops              string
	}{
		{"an_object_that_is_shared", shared, "bravo", desk.Shared, "TLPWithinCeiling: GREEN", "within TLP:GREEN", ""},
		{"an_object_above_the_ceiling", red, "bravo", desk.Held, "TLPAboveCeiling: RED", "strictest marking is TLP:RED", ""},
		{"an_object_without_marking", bare, "bravo", desk.Held, "Unmarked", "no TLP marking", ""},
		{"a_peer_that_the_feed_does_not_name", shared, "charlie", desk.Undecided, "", "not decided", "does not name charlie"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := alfa.Why(t.Context(), idOf(t, c.object), c.peer)
			if err != nil || len(got.Feeds) != 1 || len(got.Feeds[0].Versions) != 1 {
				t.Fatalf("got %+v, %v", got, err)
			}
			f, v := got.Feeds[0], got.Feeds[0].Versions[0]
			if v.Outcome != c.outcome || v.Reason != c.reason || !strings.Contains(v.Message, c.message) || !strings.Contains(f.Stops, c.stops) || c.stops == "" && f.Stops != "" {
				t.Errorf("got %+v", got)
			}
			if v.SharedAt.IsZero() == (c.outcome == desk.Shared) || v.AddedAt.IsZero() || v.Source != "own" {
				t.Errorf("got %+v", v)
			}
		})
	}
}

func TestWhyKnowsThatAPeerIsHeldBackAltogether(t *testing.T) {
	alfa, _ := pair(t)
	push(t, alfa, "own", envelope(indicator(1, greenID)))
	eventually(t, "alfa has decided", func() bool { e := exportOf(t, alfa); return e.Stored == 1 && e.Undecided == 0 })
	for _, state := range []config.PeerState{config.Suspended, config.Revoked} {
		c := alfaConfig()
		c.Peers[0].State = state
		alfa.Apply(c)
		got, err := alfa.Why(t.Context(), idOf(t, indicator(1)), "bravo")
		if err != nil || len(got.Feeds) != 1 || !strings.Contains(got.Feeds[0].Stops, string(state)) {
			t.Errorf("%s: got %+v, %v", state, got, err)
		}
	}
}

func TestWhyRefusesWhatItCannotAnswer(t *testing.T) {
	alfa, _ := pair(t)
	if _, err := alfa.Why(t.Context(), idOf(t, indicator(1)), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown peer: %v", err)
	}
	var invalid *desk.InvalidError
	if _, err := alfa.Why(t.Context(), "not-an-id", "bravo"); !errors.As(err, &invalid) {
		t.Errorf("no identifier: %v", err)
	}
	got, err := alfa.Why(t.Context(), idOf(t, indicator(9)), "bravo")
	if err != nil || len(got.Feeds) != 1 || len(got.Feeds[0].Versions) != 0 {
		t.Errorf("an unknown object: %+v, %v", got, err)
	}
}

func TestANewRuleMakesOldDecisionsUndecided(t *testing.T) {
	x := &export{Export: config.Export{Rule: config.Rule{MaxTLP: "GREEN"}}, sources: map[string]string{}}
	v := x.version("new", store.Explained{Rule: "old", Share: true, Reason: "TLPWithinCeiling: GREEN"})
	if v.Outcome != desk.Undecided || v.Reason != "" || !v.SharedAt.IsZero() {
		t.Errorf("got %+v", v)
	}
}
