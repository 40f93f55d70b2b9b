// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
)

// explaining answers PathWhy for the peer bravo.
func explaining(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != desk.PathWhy || r.URL.Query().Get("peer") != "bravo" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer := desk.Why{Object: r.URL.Query().Get("object"), Peer: "bravo", Feeds: []desk.WhyFeed{}}
	if answer.Object != "nothing" {
		answer.Feeds = []desk.WhyFeed{
			{Feed: "threats", Rule: "r", Versions: []desk.WhyVersion{
				{Source: "own", Version: noon.Add(-time.Hour), AddedAt: noon.Add(-time.Minute), Outcome: desk.Shared, Reason: "TLPWithinCeiling: GREEN", Message: "its strictest marking is TLP:GREEN, within TLP:GREEN", SharedAt: noon, DecidedAt: noon, Delivery: desk.Receipted, DeliveredAt: noon.Add(time.Second), Refused: "Forked", RefusedAt: noon.Add(time.Second)},
				{Source: "own", AddedAt: noon, Outcome: desk.Shared, Message: "it is new", SharedAt: noon, Until: noon.Add(time.Hour), Redacted: true, Delivery: desk.CameBack, DeliveredAt: noon, Evidence: json.RawMessage(`{"seen":"2026-01-01T00:00:00Z"}`)},
				{Source: "attack", AddedAt: noon, Outcome: desk.Held, Reason: "Unmarked", Message: "it has no TLP marking"},
			}},
			{Feed: "internal", Stops: "the feed does not name bravo", Versions: []desk.WhyVersion{{Source: "all", AddedAt: noon, Outcome: desk.Undecided, Message: "not decided"}}},
			{Feed: "other"},
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func TestWhyPrintsEachDecision(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(explaining))
	for name, output := range map[string]format{"why.txt": asTable, "why.json": asJSON} {
		o, s := setup(t)
		if err := o.why(t.Context(), relay, "indicator--1", "bravo", &output); err != nil {
			t.Fatal(err)
		}
		golden(t, name, s.out.String())
	}
}

func TestWhySaysThatThereIsNothingToExplain(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(explaining))
	o, s := setup(t)
	table := asTable
	if err := o.why(t.Context(), relay, "nothing", "bravo", &table); err != nil || !strings.Contains(s.errOut.String(), "No feed of ours names bravo") {
		t.Errorf("got %v, %q", err, s.errOut)
	}
	expect(t, o.why(t.Context(), relay, "indicator--1", "charlie", &table), `no peer "charlie"`)
}
