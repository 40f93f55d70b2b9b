// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/territory"
)

// locating answers PathTerritory.
func locating(w http.ResponseWriter, r *http.Request) {
	subject := r.URL.Query().Get("value")
	if r.Method == http.MethodPost {
		var object struct{ ID string }
		if json.NewDecoder(r.Body).Decode(&object) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		subject = object.ID
	}
	answer := desk.Territory{Subject: subject, Digest: "d", Peers: []desk.TerritoryPeer{}}
	if subject != "nothing" {
		answer.Evidence = territory.Statement{AsOf: noon, Values: []territory.Value{{
			Value: "192.0.2.7", Kind: "address", Flags: []string{"reserved"}, Agreement: map[string]int{"XB": 1, "XA": 2},
			RIR: &territory.Registration{Registry: "testnic", CC: "XA", Date: "2010-01-01", Status: "allocated", Dataset: "rir@2026-01-01"},
			Geo: []territory.Location{{CC: "XB", Dataset: "places@2026-01-01"}},
			ASN: &territory.System{Number: 64500, CC: "XA", Name: "Alfa Net", Dataset: "systems@2026-01-01"},
		}}}
		answer.Peers = []desk.TerritoryPeer{{Peer: "bravo", Emanates: true, Reason: territory.EmanatesFromPeer}, {Peer: "charlie", Reason: territory.OtherTerritory}}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func TestTerritoryPrintsTheEvidenceAndWhatFollows(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(locating))
	file := filepath.Join(t.TempDir(), "objects.json")
	if err := os.WriteFile(file, []byte(`[{"id":"indicator--1"},{"id":"indicator--2"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]territoryRequest{
		"territory.txt":      {subject: "192.0.2.7", agreement: 1, at: "2026-01-01T00:00:00Z"},
		"territory.json":     {subject: "192.0.2.7", agreement: 1, output: asJSON},
		"territory-file.txt": {subject: file, agreement: 2},
	} {
		o, s := setup(t)
		if err := o.territory(t.Context(), relay, req); err != nil {
			t.Fatal(err)
		}
		golden(t, name, s.out.String())
	}
}

func TestTerritorySaysThatThereIsNothingToLookUp(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(locating))
	o, s := setup(t)
	if err := o.territory(t.Context(), relay, territoryRequest{subject: "nothing", agreement: 1}); err != nil || !strings.Contains(s.errOut.String(), "nothing in it") {
		t.Errorf("got %v, %q", err, s.errOut)
	}
	expect(t, o.territory(t.Context(), relay, territoryRequest{subject: "192.0.2.7", at: "yesterday"}), `--at "yesterday"`)
}
