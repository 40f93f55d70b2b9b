// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/certlink/certlink/api/v1alpha1"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// toldNote is a note of the exporting side about an object that it shared by territory.
type toldNote struct {
	Type       string   `json:"type"`
	Abstract   string   `json:"abstract"`
	Content    string   `json:"content"`
	ObjectRefs []string `json:"object_refs"`
}

// Each nation sends the other what appears to emanate from the other's territory, by its
// own data sets, and ATT&CK for ICS whole: at once, each way.
func TestEachNationGetsWhatAppearsToEmanateFromItsOwnTerritory(t *testing.T) {
	connected(t)
	for _, p := range []*scenario.Party{alfa, bravo} {
		for _, feed := range []string{"techniques", "emanating", "their-techniques", "from-us"} {
			removeFeed(t, p, feed)
		}
	}
	attack, err := scenario.ATTACK()
	must(t, err)
	techniques, err := scenario.Objects(attack)
	must(t, err)
	must(t, both(within(t, patience), func(ctx context.Context, p, other *scenario.Party) error {
		feed := &v1alpha1.SharedFeed{ObjectMeta: p.Meta("emanating")}
		feed.Spec.Direction = v1alpha1.FeedExport
		feed.Spec.Export = &v1alpha1.FeedExportSpec{
			PeerRefs: []v1alpha1.PeerReference{{Name: other.Name}},
			Sources:  []v1alpha1.FeedSource{{Name: "seen"}, {Name: "attack", UnmarkedAs: v1alpha1.TLPClear}},
			Rule:     v1alpha1.FeedRule{MaxTLP: v1alpha1.TLPGreen, EmanatesFrom: "Peer"},
		}
		return errors.Join(
			p.Apply(ctx, feed),
			p.Export(ctx, "techniques", v1alpha1.TLPClear, map[string]v1alpha1.TLPLevel{"attack": v1alpha1.TLPClear}, other.Name),
			p.Import(ctx, "their-techniques", other.Name, "techniques"),
			p.Import(ctx, "from-us", other.Name, "emanating"),
		)
	}))
	var pushing sync.WaitGroup
	for _, p := range []*scenario.Party{alfa, bravo} {
		pushing.Go(func() {
			for _, source := range []string{"techniques.attack", "emanating.attack"} {
				err := scenario.Poll(within(t, patience), "the relay takes ATT&CK for "+source, func(ctx context.Context) error {
					_, err := p.CLI(ctx, nil, "feed", "push", source, attack)
					return err
				})
				if err != nil {
					t.Errorf("%s: %v", p.Name, err)
				}
			}
		})
	}
	pushing.Wait()
	for p, other := range map[*scenario.Party]*scenario.Party{alfa: bravo, bravo: alfa} {
		push(t, p, "emanating.seen", seen(p, other)...)
	}

	for p, other := range map[*scenario.Party]*scenario.Party{alfa: bravo, bravo: alfa} {
		t.Run(other.Name+"_holds_all_of_ATTACK_of_"+p.Name, func(t *testing.T) {
			stored(t, other, "their-techniques", int64(len(techniques)))
			readBack(t, other, "their-techniques", techniques)
		})
		t.Run(other.Name+"_gets_from_"+p.Name+"_what_appears_to_emanate_from_it_and_nothing_else", func(t *testing.T) {
			emanates(t, p, other)
		})
		t.Run(p.Name+"_can_say_why_"+other.Name+"_got_it_and_why_not", func(t *testing.T) {
			tellsWhy(t, p, other)
		})
	}
}

// seen are indicators of which the first three appear to emanate from the other nation.
func seen(p, other *scenario.Party) []json.RawMessage {
	series := "seen by " + p.Name
	pattern := func(whose *scenario.Party, n int) string {
		return fmt.Sprintf("[ipv4-addr:value = '%s']", scenario.AddressIn(whose, n))
	}
	charlie := &scenario.Party{Name: "charlie"}
	return []json.RawMessage{
		scenario.Indicator(series, 0, "GREEN", pattern(other, 10)),
		scenario.Indicator(series, 1, "CLEAR", "[url:value = 'https://"+scenario.AddressIn(other, 11)+"/update']"),
		scenario.Indicator(series, 2, "GREEN", "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '"+scenario.AddressIn(other, 12)+"']"),
		scenario.Indicator(series, 3, "RED", pattern(other, 13)),
		scenario.Indicator(series, 4, "GREEN", pattern(p, 10)),
		scenario.Indicator(series, 5, "GREEN", pattern(charlie, 10)),
		scenario.Indicator(series, 6, "GREEN", pattern(other, 14)+" OR "+pattern(charlie, 11)),
		scenario.Indicator(series, 7, "GREEN", "[file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4']"),
	}
}

// emanates waits until the three have crossed, each with a note that says so, and
// looks that nothing else has.
func emanates(t *testing.T, p, other *scenario.Party) {
	want := byKey(t, seen(p, other)[:3])
	dial, closing, err := other.Forward(scenario.LocalPort)
	must(t, err)
	defer closing()
	client, err := other.PlainHTTP(t.Context(), dial)
	must(t, err)
	defer client.CloseIdleConnections()
	must(t, scenario.Poll(within(t, patience), "what appears to emanate has crossed, with its notes", func(ctx context.Context) error {
		got, err := scenario.ReadTAXII(ctx, client, scenario.LocalRoot, "from-us")
		if err != nil {
			return err
		}
		about := map[string]int{}
		for key, raw := range got {
			var n toldNote
			if err := json.Unmarshal(raw, &n); err != nil {
				return err
			}
			switch expected, ok := want[key]; {
			case n.Type == "note":
				if !strings.Contains(n.Abstract, "Appears to emanate") || !strings.Contains(n.Abstract, "no attribution") || !strings.Contains(n.Content, "delegation") {
					return fmt.Errorf("a note says %q: %q", n.Abstract, n.Content)
				}
				for _, ref := range n.ObjectRefs {
					about[ref]++
				}
			case n.Type == "identity" && strings.Contains(string(raw), "CERT "), n.Type == "extension-definition", n.Type == "marking-definition":
				// who says so, and what its words mean; a statement marking has no territory
			case !ok:
				return fmt.Errorf("%s has crossed: %.300s", key, raw)
			case string(expected) != string(raw):
				return fmt.Errorf("%s is not the same byte for byte", key)
			}
		}
		for key := range maps.Keys(want) {
			id, _, _ := strings.Cut(key, " ")
			if _, crossed := got[key]; !crossed || about[id] != 1 {
				return fmt.Errorf("%s crossed: %v, with %d notes", id, crossed, about[id])
			}
		}
		return nil
	}))
}

// tellsWhy asks our own relay why.
func tellsWhy(t *testing.T, p, other *scenario.Party) {
	objects := seen(p, other)
	for i, want := range map[int]wire.WhyVersion{
		0: {Outcome: wire.Shared, Reason: "TLPWithinCeiling: GREEN"},
		3: {Outcome: wire.Held, Reason: "TLPAboveCeiling: RED"},
		4: {Outcome: wire.Held, Reason: "OtherTerritory"},
		6: {Outcome: wire.Held, Reason: "OtherTerritory"},
		7: {Outcome: wire.Held, Reason: "NoTerritory"},
	} {
		var object struct{ ID string }
		must(t, json.Unmarshal(objects[i], &object))
		must(t, scenario.Poll(within(t, patience), "the relay says why", func(ctx context.Context) error {
			text, err := p.CLI(ctx, nil, "feed", "why", object.ID, other.Name, "-o", "json")
			if err != nil {
				return err
			}
			var why wire.Why
			if err := json.Unmarshal([]byte(text), &why); err != nil {
				return err
			}
			for _, f := range why.Feeds {
				if f.Feed != "emanating" || len(f.Versions) == 0 {
					continue
				}
				v := f.Versions[0]
				evidence := i == 0 || i == 4
				if v.Outcome != want.Outcome || !strings.HasPrefix(v.Reason, want.Reason) || evidence && len(v.Evidence) == 0 {
					return fmt.Errorf("object %d: %s, %q, evidence %s; want %s, %q", i, v.Outcome, v.Reason, v.Evidence, want.Outcome, want.Reason)
				}
				if i == 0 && v.Delivery != wire.Receipted {
					return fmt.Errorf("the first object has come as far as %q", v.Delivery)
				}
				return nil
			}
			return fmt.Errorf("no feed holds %s: %s", object.ID, text)
		}))
	}
}
