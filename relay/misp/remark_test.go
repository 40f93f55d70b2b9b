// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/rule"
)

const lateID = "marking-definition--5c0d1e2f-0000-4000-8000-000000000077"

func statementText(definition string) string {
	return `{"type":"marking-definition","spec_version":"2.1","id":"` + lateID + `","created":"2026-01-01T00:00:00.000Z",` + definition + `}`
}

// also marks an object with the late definition, too.
func also(object string) string {
	return strings.Replace(object, `"object_marking_refs":[`, `"object_marking_refs":["`+lateID+`",`, 1)
}

// stamps are the timestamps of events by title, and of their attributes by value.
func (s *shop) stamps() map[string]int64 {
	s.t.Helper()
	var manifest map[string]entryOf
	if err := json.Unmarshal(s.get("manifest.json").Body.Bytes(), &manifest); err != nil {
		s.t.Fatal(err)
	}
	all := map[string]int64{}
	for uuid, e := range manifest {
		var file struct {
			Event struct{ Attribute []Attribute }
		}
		if err := json.Unmarshal(s.get(uuid+".json").Body.Bytes(), &file); err != nil {
			s.t.Fatal(err)
		}
		for _, a := range file.Event.Attribute {
			all[a.Value], _ = strconv.ParseInt(a.Timestamp, 10, 64)
		}
		all[e.Info], _ = strconv.ParseInt(e.Timestamp, 10, 64)
	}
	return all
}

// TestWhatCameBeforeItsMarkingIsWrittenAgainWhenThatComes: it was RED, as nobody knew what the marking says.
func TestWhatCameBeforeItsMarkingIsWrittenAgainWhenThatComes(t *testing.T) {
	s := newShop(t)
	s.put(also(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, "")), also(indicatorText(2, 1, "[domain-name:value = 'two.example']", rule.Green, "")),
		indicatorText(3, 1, "[domain-name:value = 'three.example']", rule.Green, ""), also(reportText(1, 1)))
	s.clock = s.clock.Add(2 * time.Hour)
	s.put(indicatorText(4, 1, "[domain-name:value = 'four.example']", rule.Green, ""))
	before := s.stamps()
	if diff := cmp.Diff(map[string][]string{
		"Campaign X": {"domain=one.example tlp:red"}, "bravo 2026-01-02": {"domain=two.example tlp:red", "domain=three.example tlp:green"},
		"bravo 2026-01-03": {"domain=four.example tlp:green"},
	}, s.events()); diff != "" {
		t.Error(diff)
	}
	s.clock = s.clock.Add(time.Hour)
	came := s.clock.Unix()
	s.put(statementText(`"definition_type":"statement","definition":{"statement":"(c) CERT Bravo"}`))
	if diff := cmp.Diff(map[string][]string{
		"Campaign X": {"domain=one.example tlp:green"}, "bravo 2026-01-02": {"domain=two.example tlp:green", "domain=three.example tlp:green"},
		"bravo 2026-01-03": {"domain=four.example tlp:green"},
	}, s.events()); diff != "" {
		t.Error(diff)
	}
	want := map[string]int64{
		"Campaign X": came, "bravo 2026-01-02": came, "one.example": came, "two.example": came,
		"three.example": before["three.example"], "four.example": before["four.example"], "bravo 2026-01-03": came,
	}
	got := s.stamps()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var manifest map[string]entryOf
	if err := json.Unmarshal(s.get("manifest.json").Body.Bytes(), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, e := range manifest {
		if e.Info == "Campaign X" && (len(e.Tags) != 1 || e.Tags[0].Name != "tlp:green") {
			t.Errorf("the report has the tags %v", e.Tags)
		}
	}
	// A catalogue that is made anew says the same.
	s.forget()
	if diff := cmp.Diff(got, s.stamps()); diff != "" {
		t.Error("made anew:", diff)
	}
}

func TestADefinitionThatIsNoPlainStatementLeavesRedWhatItMarks(t *testing.T) {
	s := newShop(t)
	s.put(also(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, "")))
	before := s.stamps()
	s.put(statementText(`"extensions":{"extension-definition--5c0d1e2f-0000-4000-8000-000000000078":{"extension_type":"property-extension","audience":"few"}}`))
	if diff := cmp.Diff(map[string][]string{"bravo 2026-01-02": {"domain=one.example tlp:red"}}, s.events()); diff != "" {
		t.Error(diff)
	}
	if s.stamps()["one.example"] != before["one.example"] {
		t.Error("the attribute has changed")
	}
}

// TestAReportThatStandsBeforeTheDefinitionOfItsMarkingIsNotRed: they come in one bundle, and so in one second.
func TestAReportThatStandsBeforeTheDefinitionOfItsMarkingIsNotRed(t *testing.T) {
	s := newShop(t)
	s.put(also(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, "")), also(reportText(1, 1)),
		statementText(`"definition_type":"statement","definition":{"statement":"(c) CERT Bravo"}`))
	var manifest map[string]entryOf
	if err := json.Unmarshal(s.get("manifest.json").Body.Bytes(), &manifest); err != nil {
		t.Fatal(err)
	}
	var tags []NamedTag
	for _, e := range manifest {
		if e.Info == "Campaign X" {
			tags = e.Tags
		}
	}
	if diff := cmp.Diff([]NamedTag{{"tlp:green"}}, tags); diff != "" {
		t.Error(diff)
	}
}

// TestAVersionThatIsOlderThanTheDefinitionButCameAfterItIsTakenByAMISP: a MISP leaves an attribute as it is
// that has no later timestamp, and would so go on with what was revoked.
func TestAVersionThatIsOlderThanTheDefinitionButCameAfterItIsTakenByAMISP(t *testing.T) {
	for name, marked := range map[string]func(string) string{
		"marked as before":    also,
		"without the marking": func(object string) string { return object },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			version := func(n int, mark func(string) string, more string) {
				s.put(mark(indicatorText(1, n, "[domain-name:value = 'one.example']", rule.Green, more)))
				s.clock = s.clock.Add(time.Hour)
			}
			version(1, also, "")
			last := s.stamps()["one.example"]
			s.put(statementText(`"definition_type":"statement","definition":{"statement":"(c) CERT Bravo"}`))
			s.clock = s.clock.Add(time.Hour)
			for step, next := range []func(){
				func() {}, // the definition has come
				func() { version(2, marked, "") },
				func() { version(3, marked, `,"revoked":true`) },
			} {
				next()
				stamp := s.stamps()["one.example"]
				if stamp <= last {
					t.Errorf("in step %d the attribute has the timestamp %d, after %d", step, stamp, last)
				}
				last = stamp
			}
		})
	}
}

// forget makes the catalogue anew, as a restart does.
func (s *shop) forget() {
	d := s.directories["bravo/misp"]
	d.catalogue = NewCatalogue(s.store, "import/bravo", "bravo", d.catalogue.now)
}
