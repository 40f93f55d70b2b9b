// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/test/scenario"
)

// push runs kubectl certlink feed push, as soon as the relay has the source.
func push(t *testing.T, p *scenario.Party, source string, objects ...json.RawMessage) {
	t.Helper()
	bundle := scenario.Bundle(objects...)
	err := scenario.Poll(within(t, patience), "the relay takes objects for "+source, func(ctx context.Context) error {
		_, err := p.CLI(ctx, strings.NewReader(bundle), "feed", "push", source, "-")
		return err
	})
	must(t, err)
}

// counts waits until an export has shared and held so many objects, for these reasons.
func counts(t *testing.T, p *scenario.Party, feed string, shared int64, held map[string]int64) {
	t.Helper()
	_, err := p.AwaitFeed(within(t, patience), feed, func(f v1alpha1.SharedFeed) error {
		got := map[string]int64{}
		for _, reason := range f.Status.HeldReasons {
			got[reason.Reason] = scenario.Number(reason.Objects)
		}
		var sum int64
		for _, n := range held {
			sum += n
		}
		if diff := cmp.Diff(held, got); diff != "" || scenario.Number(f.Status.Shared) != shared || scenario.Number(f.Status.Held) != sum {
			return fmt.Errorf("%d shared, %d held, reasons (-want +got):\n%s", scenario.Number(f.Status.Shared), scenario.Number(f.Status.Held), diff)
		}
		return nil
	})
	must(t, err)
}

// stored waits until an import holds so many objects.
func stored(t *testing.T, p *scenario.Party, feed string, want int64) {
	t.Helper()
	_, err := p.AwaitFeed(within(t, patience), feed, func(f v1alpha1.SharedFeed) error {
		if got := scenario.Number(f.Status.Stored); got != want {
			return fmt.Errorf("%d objects are stored, not %d", got, want)
		}
		return scenario.All(f.Status.Conditions, f.Generation, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionDelivering, v1alpha1.ConditionFresh)...)
	})
	must(t, err)
}

func byKey(t *testing.T, objects []json.RawMessage) map[string]json.RawMessage {
	t.Helper()
	keyed := map[string]json.RawMessage{}
	for _, raw := range objects {
		var object struct{ ID, Modified string }
		must(t, json.Unmarshal(raw, &object))
		keyed[object.ID+" "+object.Modified] = raw
	}
	return keyed
}

// readBack reads a collection of the local port with a plain HTTP client and
// compares every object, byte for byte.
func readBack(t *testing.T, p *scenario.Party, collection string, want map[string]json.RawMessage) {
	t.Helper()
	dial, closing, err := p.Forward(scenario.LocalPort)
	must(t, err)
	defer closing()
	client, err := p.PlainHTTP(t.Context(), dial)
	must(t, err)
	defer client.CloseIdleConnections()
	got, err := scenario.ReadTAXII(within(t, patience), client, scenario.LocalRoot, collection)
	must(t, err)
	for key, raw := range want {
		switch read, there := got[key]; {
		case !there:
			t.Errorf("%s has not crossed", key)
		case !bytes.Equal(read, raw):
			t.Errorf("%s is not the same byte for byte:\n%.200s\n%.200s", key, raw, read)
		}
	}
	for key := range got {
		if _, allowed := want[key]; !allowed {
			t.Errorf("%s has crossed, which the rule does not allow", key)
		}
	}
	t.Logf("%d objects read back from %s with a plain TAXII client, %d allowed", len(got), p.Name, len(want))
}

func TestFeed(t *testing.T) {
	connected(t)
	removeFeed(t, alfa, "threats")
	removeFeed(t, bravo, "from-alfa")
	must(t, alfa.Export(t.Context(), "threats", v1alpha1.TLPGreen, map[string]v1alpha1.TLPLevel{"attack": v1alpha1.TLPClear, "own": ""}, bravo.Name))
	must(t, bravo.Import(t.Context(), "from-alfa", alfa.Name, "threats"))

	attack, err := scenario.ATTACK()
	must(t, err)
	want, err := scenario.Objects(attack)
	must(t, err)
	green := scenario.Indicators("feed", "GREEN", 3)
	var own []json.RawMessage
	own = append(own, green...)
	own = append(own, scenario.Indicators("feed", "AMBER", 2)...)
	own = append(own, scenario.Indicators("feed", "AMBER+STRICT", 4)...)
	own = append(own, scenario.Indicators("feed", "RED", 5)...)
	own = append(own, scenario.Indicators("feed", "", 6)...)
	push(t, alfa, "threats.own", own...)
	start := time.Now()
	_, err = alfa.CLI(within(t, patience), nil, "feed", "push", "threats.attack", attack)
	must(t, err)
	t.Logf("ATT&CK for ICS (%d objects) pushed in %.1fs", len(want), time.Since(start).Seconds())
	maps.Copy(want, byKey(t, green))

	t.Run("what_is_held_is_counted_with_its_reason", func(t *testing.T) {
		counts(t, alfa, "threats", int64(len(want)), map[string]int64{
			"TLPAboveCeiling: AMBER": 2, "TLPAboveCeiling: AMBER+STRICT": 4, "TLPAboveCeiling: RED": 5, "Unmarked": 6,
		})
	})
	t.Run("what_the_rule_allows_crosses_byte_for_byte", func(t *testing.T) {
		stored(t, bravo, "from-alfa", int64(len(want)))
		t.Logf("imported %.1fs after the push began", time.Since(start).Seconds())
		readBack(t, bravo, "from-alfa", want)
	})
	t.Run("the_command_lists_it", func(t *testing.T) {
		said, err := bravo.CLI(within(t, patience), nil, "feed", "list", "from-alfa", "-o", "json")
		must(t, err)
		var bundle struct{ Objects []json.RawMessage }
		must(t, json.Unmarshal([]byte(said), &bundle))
		if len(bundle.Objects) != len(want) {
			t.Errorf("the command lists %d objects, not %d", len(bundle.Objects), len(want))
		}
	})
	t.Run("suspending_the_peer_stops_it_at_once", func(t *testing.T) { suspend(t, want) })
}

// suspend: alfa alone holds back feeds; what bravo has it keeps.
func suspend(t *testing.T, want map[string]json.RawMessage) {
	state := func(ctx context.Context, to v1alpha1.PeerState) error {
		return scenario.Change(ctx, alfa, bravo.Name, &v1alpha1.PeerCERT{}, func(p *v1alpha1.PeerCERT) { p.Spec.State = to })
	}
	must(t, state(t.Context(), v1alpha1.PeerSuspended))
	cleanup(t, func(ctx context.Context) error { return state(ctx, v1alpha1.PeerActive) })
	_, err := alfa.AwaitPeer(within(t, patience), bravo.Name, scenario.True(v1alpha1.ConditionSuspended)...)
	must(t, err)
	_, err = bravo.AwaitFeed(within(t, patience), "from-alfa", func(f v1alpha1.SharedFeed) error {
		if scenario.All(f.Status.Conditions, f.Generation, scenario.True(v1alpha1.ConditionDelivering)...) == nil {
			return fmt.Errorf("bravo's import still delivers")
		}
		return nil
	})
	must(t, err)
	push(t, alfa, "threats.own", scenario.Indicators("while-suspended", "GREEN", 1)...)
	readBack(t, bravo, "from-alfa", want)
	must(t, state(t.Context(), v1alpha1.PeerActive))
	stored(t, bravo, "from-alfa", int64(len(want)+1))
}

func TestAFeedOfObjectsThatMustStay(t *testing.T) {
	connected(t)
	removeFeed(t, alfa, "secrets")
	removeFeed(t, bravo, "alfas-secrets")
	must(t, alfa.Export(t.Context(), "secrets", v1alpha1.TLPAmber, map[string]v1alpha1.TLPLevel{"all": ""}, bravo.Name))
	must(t, bravo.Import(t.Context(), "alfas-secrets", alfa.Name, "secrets"))
	var objects []json.RawMessage
	objects = append(objects, scenario.Indicators("stay", "AMBER+STRICT", 11)...)
	objects = append(objects, scenario.Indicators("stay", "RED", 12)...)
	objects = append(objects, scenario.Indicators("stay", "", 13)...)
	push(t, alfa, "secrets.all", objects...)
	counts(t, alfa, "secrets", 0, map[string]int64{"TLPAboveCeiling: AMBER+STRICT": 11, "TLPAboveCeiling: RED": 12, "Unmarked": 13})
	_, err := alfa.AwaitFeed(within(t, patience), "secrets", func(f v1alpha1.SharedFeed) error {
		return scenario.All(f.Status.Conditions, f.Generation, scenario.Want{Type: v1alpha1.ConditionDelivering, Status: "False", Reason: v1alpha1.ReasonNothingAllowed})
	})
	must(t, err)
	stored(t, bravo, "alfas-secrets", 0)
	readBack(t, bravo, "alfas-secrets", nil)
	// An object that may leave crosses after them all: they had their chance.
	green := scenario.Indicators("stay", "GREEN", 1)
	push(t, alfa, "secrets.all", green...)
	stored(t, bravo, "alfas-secrets", 1)
	readBack(t, bravo, "alfas-secrets", byKey(t, green))
}

// A partner without certlink reads its feed with any TAXII client over mutual
// TLS, with a certificate of its own CA, and sees nothing else.
func TestAPartnerWithoutCertlink(t *testing.T) {
	charlie := testca.New(t, "charlie.example")
	addPeer(t, "charlie", charlie.TrustDomain, charlie.Bundle(), "")
	for feed, peer := range map[string]string{"open": "charlie", "closed": bravo.Name} {
		removeFeed(t, alfa, feed)
		must(t, alfa.Export(t.Context(), feed, v1alpha1.TLPGreen, map[string]v1alpha1.TLPLevel{"own": ""}, peer))
	}
	green := scenario.Indicators("partner", "GREEN", 5)
	push(t, alfa, "open.own", append(green, scenario.Indicators("partner", "RED", 2)...)...)
	counts(t, alfa, "open", 5, map[string]int64{"TLPAboveCeiling: RED": 2})

	local, err := alfa.Local(t.Context())
	must(t, err)
	ours, err := card.Parse([]byte(local.Status.Card))
	must(t, err)
	dial, closing, err := alfa.Forward(scenario.LinkPort)
	must(t, err)
	t.Cleanup(closing)
	host, _, err := net.SplitHostPort(local.Status.Addresses[0])
	must(t, err)
	client, err := scenario.AnyClient(charlie.Leaf(t, testca.Leaf{Path: "/taxii"}).TLS(), []byte(ours.Bundle), host, dial)
	must(t, err)
	t.Cleanup(client.CloseIdleConnections)
	got, err := scenario.ReadTAXII(within(t, patience), client, scenario.FeedsRoot, "open")
	must(t, err)
	if diff := cmp.Diff(byKey(t, green), got); diff != "" {
		t.Errorf("what charlie reads (-want +got):\n%s", diff)
	}
	if _, err := scenario.ReadTAXII(within(t, patience), client, scenario.FeedsRoot, "closed"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("reading a feed that is not for charlie gave %v, want 404", err)
	}
}
