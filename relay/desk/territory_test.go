// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/territory"
)

func TestTerritoryAnswersByTheDataOfTheRelay(t *testing.T) {
	path, err := filepath.Abs("../territory/testdata/delegated-20260101")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	keeper, err := territory.NewKeeper(territory.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	keeper.Apply(config.Territory{Datasets: []config.Dataset{{Name: "rir", Format: config.RIRDelegation, File: path}}})
	h := &handler{log: slog.New(slog.DiscardHandler), guide: &Guide{Atlas: keeper.Current, Peers: func() []config.Peer {
		return []config.Peer{{Name: "bravo", Territory: config.PeerTerritory{Countries: []string{"XB"}}}, {Name: "charlie"}}
	}}}
	indicator := `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001","pattern_type":"stix",` +
		`"created":"2026-07-01T00:00:00Z","modified":"2026-07-01T00:00:00Z","valid_from":"2026-07-01T00:00:00Z","pattern":"[ipv4-addr:value = '198.51.100.7']"}`
	for name, c := range map[string]struct {
		method, query, body string
		status              int
		want                string
	}{
		"a value":                     {"GET", "?value=198.51.100.7", "", 200, `"peers":[{"peer":"bravo","emanates":true,"reason":"EmanatesFromPeer"},{"peer":"charlie","emanates":false,"reason":"OtherTerritory"}]`},
		"more agreement than there":   {"GET", "?value=198.51.100.7&agreement=2", "", 200, `{"peer":"bravo","emanates":false,"reason":"TerritoryDisputed"}`},
		"an object":                   {"POST", "", indicator, 200, `"subject":"indicator--00000000-0000-4000-8000-000000000001"`},
		"the evidence":                {"POST", "", indicator, 200, `"rir":{"registry":"testnic","cc":"XB","date":"2010-01-01","status":"assigned","dataset":"rir@2026-01-01"}`},
		"no value":                    {"GET", "", "", 422, "value: must be"},
		"no time":                     {"GET", "?value=a.example&at=now", "", 422, "at: must be"},
		"no number":                   {"GET", "?value=a.example&agreement=9", "", 422, "agreement: is not"},
		"no object":                   {"POST", "", "[]", 400, "it is no JSON object"},
		"an object that is too large": {"POST", "", `{"x":"` + strings.Repeat("y", 2<<20) + `"}`, 413, "larger than"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			action := h.territoryOfValue
			if c.method == http.MethodPost {
				action = h.territoryOfObject
			}
			w := httptest.NewRecorder()
			h.reply(action).ServeHTTP(w, httptest.NewRequest(c.method, PathTerritory+c.query, strings.NewReader(c.body)))
			body, err := io.ReadAll(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || !strings.Contains(string(body), c.want) {
				t.Errorf("%d %s", w.Code, body)
			}
		})
	}
}
