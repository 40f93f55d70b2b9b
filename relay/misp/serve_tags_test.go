// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/store"
)

// TestTheEventOfAReportGoesNoFurtherThanItsMarking: its title is in the event, and a MISP that
// takes the distribution from the feed would fall back to its own default.
func TestTheEventOfAReportGoesNoFurtherThanItsMarking(t *testing.T) {
	for name, c := range map[string]struct {
		marking, want string
	}{
		"none":    {"", `"0"`},
		"red":     {markingIDs[rule.Red], `"0"`},
		"strict":  {markingIDs[rule.AmberStrict], `"0"`},
		"amber":   {markingIDs[rule.Amber], `"1"`},
		"green":   {markingIDs[rule.Green], ``},
		"clear":   {markingIDs[rule.Clear], `"3"`},
		"strange": {"marking-definition--5c0d1e2f-0000-4000-8000-000000000009", `"0"`},
	} {
		s := newShop(t)
		report := strings.Replace(reportText(1, 1), markingIDs[rule.Green], c.marking, 1)
		if c.marking == "" {
			report = strings.Replace(report, `,"object_marking_refs":[""]`, "", 1)
		}
		s.put(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, ""), report)
		var event struct {
			Event struct {
				Distribution json.RawMessage `json:"distribution"`
			}
		}
		file := derive("event", "bravo", "report--5c0d1e2f-0000-4000-8000-00000000000a") + ".json"
		if err := json.Unmarshal(s.get(file).Body.Bytes(), &event); err != nil || string(event.Event.Distribution) != c.want {
			t.Errorf("%s: distribution %s, want %s (%v)", name, event.Event.Distribution, c.want, err)
		}
	}
}

func TestATagIsThatOfTheBytes(t *testing.T) {
	s := newShop(t)
	s.put(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, ""), indicatorText(2, 1, "[domain-name:value = 'two.example']", rule.Green, ""), reportText(1, 1))
	report := derive("event", "bravo", "report--5c0d1e2f-0000-4000-8000-00000000000a") + ".json"
	day := derive("event", "bravo", "2026-01-02") + ".json"
	files := []string{"manifest.json", report, day, "hashes.csv"}
	seen := map[string]string{} // bytes by tag
	look := func(what string) {
		t.Helper()
		for range 2 { // reading events changes the manifest
			for _, file := range files {
				w := s.get(file)
				if w.Code == http.StatusNotFound {
					continue
				}
				tag, text := w.Header().Get("ETag"), w.Body.String()
				if before, ok := seen[tag]; ok && before != text {
					t.Errorf("%s: %s has the tag of other bytes", what, file)
				}
				seen[tag] = text
				if again := s.get(file, "If-None-Match", `W/"x", W/`+tag); file != "manifest.json" && again.Code != http.StatusNotModified {
					t.Errorf("%s: %s: %d in a list of tags", what, file, again.Code)
				}
			}
		}
	}
	look("at first")
	// What a peer withdraws goes without a later object coming.
	for _, id := range []string{"indicator--5c0d1e2f-0000-4000-8000-000000000002", "report--5c0d1e2f-0000-4000-8000-00000000000a"} {
		if _, err := s.store.DeleteObjects(t.Context(), "import/bravo", store.Query{IDs: []string{id}, Limit: 1}); err != nil {
			t.Fatal(err)
		}
		look("without " + id)
	}
	if w := s.get(report); w.Code != http.StatusNotFound {
		t.Errorf("the event of a withdrawn report: %d", w.Code)
	}
	if diff := cmp.Diff(map[string][]string{"bravo 2026-01-02": {"domain=one.example tlp:green"}}, s.events()); diff != "" {
		t.Error(diff)
	}
	s.Apply(&config.Config{
		Peers:   []config.Peer{{Name: "bravo", DisplayName: "CERT Bravo, renamed"}},
		Imports: []config.Import{{Name: "bravo", Peer: "bravo", Deliveries: []config.Delivery{{Name: "misp", MISP: &config.MISPDelivery{}}}}},
	})
	look("under another name")
	if w := s.get(day, "If-None-Match", "*"); w.Code != http.StatusNotModified {
		t.Errorf("any tag: %d", w.Code)
	}
	if w := s.get(day, "If-None-Match", `"x`+strings.Trim(s.get(day).Header().Get("ETag"), `"`)+`"`); w.Code != http.StatusOK {
		t.Errorf("another tag: %d", w.Code)
	}
}
