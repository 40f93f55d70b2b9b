// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/territory"
)

var noonOf = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	head := func(rest string) string {
		return `{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-05-01T00:00:00Z","modified":"2026-05-01T00:00:00Z"` + rest + `}`
	}
	green := `,"object_marking_refs":["` + green2 + `"]`
	red := Bound{Level: Red, ID: "report--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}
	ages := config.Rule{MaxTLP: "GREEN", MaxAgeDays: 10}
	for name, c := range map[string]struct {
		rule     config.Rule
		question Question
		raw      string
		want     string
		until    time.Time
	}{
		"confidence_at_the_limit":                   {config.Rule{MaxTLP: "GREEN", MinConfidence: 50}, Question{}, head(green + `,"confidence":50`), within + "GREEN", time.Time{}},
		"confidence_below_it":                       {config.Rule{MaxTLP: "GREEN", MinConfidence: 50}, Question{}, head(green + `,"confidence":49`), LowConfidence, time.Time{}},
		"no_confidence_counts_as_none":              {config.Rule{MaxTLP: "GREEN", MinConfidence: 1}, Question{}, head(green), LowConfidence, time.Time{}},
		"a_text_is_no_confidence":                   {config.Rule{MaxTLP: "GREEN", MinConfidence: 1}, Question{}, head(green + `,"confidence":"99"`), LowConfidence, time.Time{}},
		"too_old":                                   {ages, Question{Now: noonOf}, head(green), TooOld, time.Time{}},
		"a_later_sign_of_life":                      {ages, Question{Now: noonOf}, head(green + `,"valid_from":"2026-05-30T00:00:00Z"`), within + "GREEN", time.Date(2026, 6, 9, 0, 0, 0, 0, time.UTC)},
		"the_latest_one_counts":                     {ages, Question{Now: noonOf}, head(green + `,"last_seen":"2026-05-31T00:00:00Z","valid_from":"2026-05-30T00:00:00Z"`), within + "GREEN", time.Date(2026, 6, 10, 0, 0, 0, 0, time.UTC)},
		"at_the_very_end_it_is_too_old":             {ages, Question{Now: time.Date(2026, 5, 11, 0, 0, 0, 0, time.UTC)}, head(green), TooOld, time.Time{}},
		"without_a_time_nothing_is_young":           {ages, Question{}, head(green), TooOld, time.Time{}},
		"an_observable_has_no_date":                 {ages, Question{Now: noonOf}, `{"type":"ipv4-addr","id":"ipv4-addr--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","value":"192.0.2.1"` + green + `}`, NoDate, time.Time{}},
		"a_definition_is_not_asked_for_its_age":     {config.Rule{MaxTLP: "GREEN", MaxAgeDays: 1, MinConfidence: 9, EmanatesFrom: config.FromPeer}, Question{Now: noonOf, Source: "open"}, `{"type":"marking-definition","id":"` + statement + `","created":"2020-01-01T00:00:00Z","definition_type":"statement","definition":{"statement":"Copyright"}}`, within + "CLEAR", time.Time{}},
		"a_container_binds_what_has_no_marking":     {config.Rule{MaxTLP: "GREEN"}, Question{Source: "open", Container: red}, head(""), containerAbove + "RED", time.Time{}},
		"a_container_does_not_overrule_a_marking":   {config.Rule{MaxTLP: "GREEN"}, Question{Container: red}, head(green), within + "GREEN", time.Time{}},
		"a_clear_container_opens_nothing":           {config.Rule{MaxTLP: "GREEN"}, Question{Container: Bound{Level: Clear}}, head(""), Unmarked, time.Time{}},
		"content_binds_its_container":               {config.Rule{MaxTLP: "GREEN"}, Question{Content: red}, head(green), contentAbove + "RED", time.Time{}},
		"content_within_the_ceiling_binds_nothing":  {config.Rule{MaxTLP: "GREEN"}, Question{Content: Bound{Level: Green}}, head(green), within + "GREEN", time.Time{}},
		"territory_without_a_peer_lets_nothing_out": {config.Rule{MaxTLP: "GREEN", EmanatesFrom: config.FromPeer}, Question{}, head(green), territory.NoTerritoryData, time.Time{}},
		"an_unknown_source":                         {config.Rule{MaxTLP: "GREEN"}, Question{Source: "else"}, head(green), UnknownSource, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewPolicy(c.rule, []config.Source{{Name: "plain"}, {Name: "open", UnmarkedAs: "CLEAR"}}, []string{statement})
			if err != nil {
				t.Fatal(err)
			}
			if c.question.Source == "" {
				c.question.Source = "plain"
			}
			got := p.Judge(c.question, parsed(t, c.raw))
			if got.Reason != c.want || got.Share != strings.HasPrefix(c.want, within) || got.Share && !got.Until.Equal(c.until) {
				t.Errorf("got %+v", got)
			}
			if got.Evidence() != "" && !json.Valid([]byte(got.Evidence())) {
				t.Errorf("evidence is %q", got.Evidence())
			}
			if why := Explain(got.Reason, c.rule); got.Reason != UnknownSource && (why == got.Reason || strings.Contains(why, "\n")) {
				t.Errorf("explained as %q", why)
			}
		})
	}
}

func TestTowardAPeerThePolicyIsItsOwn(t *testing.T) {
	p, err := NewPolicy(config.Rule{MaxTLP: "GREEN", EmanatesFrom: config.FromPeer}, []config.Source{{Name: "own"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	object := parsed(t, `{"type":"indicator","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","pattern":"[ipv4-addr:value = '192.0.2.7']","pattern_type":"stix","object_marking_refs":["`+green2+`"]}`)
	hashes := map[string]bool{p.Hash(): true}
	for network, want := range map[string]bool{"192.0.2.0/24": true, "198.51.100.0/24": false} {
		area, err := territory.NewArea(config.PeerTerritory{Networks: []string{network}})
		if err != nil {
			t.Fatal(err)
		}
		own := p.Toward(area, nil)
		hashes[own.Hash()] = true
		got := own.Judge(Question{Source: "own"}, object)
		if _, ok := got.Territory(); got.Share != want || ok != want || !strings.Contains(got.Evidence(), "192.0.2.7") {
			t.Errorf("%s: %+v", network, got)
		}
	}
	if len(hashes) != 3 {
		t.Errorf("%d hashes of three policies", len(hashes))
	}
	plain, err := NewPolicy(config.Rule{MaxTLP: "GREEN"}, nil, nil)
	if err != nil || plain.Toward(nil, nil) != plain || plain.Territorial() || plain.Ages() {
		t.Errorf("a policy without territory is another one toward a peer, %v", err)
	}
}

func TestTheHashChangesWithWhatIsNew(t *testing.T) {
	hashes := map[string]bool{}
	rules := []config.Rule{
		{MaxTLP: "GREEN"}, {MaxTLP: "GREEN", MinConfidence: 1}, {MaxTLP: "GREEN", MaxAgeDays: 1}, {MaxTLP: "GREEN", EmanatesFrom: config.FromPeer},
		{MaxTLP: "GREEN", EmanatesFrom: config.FromPeer, MinAgreement: 2}, {MaxTLP: "GREEN", EmanatesFrom: config.FromPeer, WarningLists: config.WarningListsIgnore},
	}
	for _, r := range rules {
		p, err := NewPolicy(r, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		hashes[p.Hash()] = true
	}
	if len(hashes) != len(rules) {
		t.Errorf("%d hashes of %d rules", len(hashes), len(rules))
	}
}
