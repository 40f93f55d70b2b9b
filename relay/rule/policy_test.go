// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
)

const (
	clear2       = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"
	green2       = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
	amber2       = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
	amberStrict2 = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
	red2         = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
	white1       = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"
	amber1       = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"
	red1         = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
	statement    = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"
	stranger     = "marking-definition--00000000-0000-4000-8000-000000000000"
)

func policy(t *testing.T, ceiling string, types ...string) *Policy {
	t.Helper()
	p, err := NewPolicy(config.Rule{MaxTLP: ceiling, Types: types},
		[]config.Source{{Name: "plain"}, {Name: "open", UnmarkedAs: "CLEAR"}, {Name: "red", UnmarkedAs: "RED"}}, []string{statement})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func marked(refs ...string) stix.Object {
	return stix.Object{ID: "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", Type: "indicator", Markings: refs}
}

func parsed(t *testing.T, raw string) stix.Object {
	t.Helper()
	o, err := stix.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestDecide(t *testing.T) {
	lookAlike := `{"type":"marking-definition","spec_version":"2.1","id":"` + stranger + `","created":"2022-10-01T00:00:00.000Z","name":"TLP:CLEAR","extensions":{"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d":{"extension_type":"property-extension","tlp_2_0":"clear"}}}`
	genuine := strings.ReplaceAll(lookAlike, stranger, clear2)
	plainStatement := `{"type":"marking-definition","id":"` + statement + `","definition_type":"statement","definition":{"statement":"Copyright"}}`
	tests := map[string]struct {
		ceiling, source string
		object          stix.Object
		types           []string
		want            Verdict
	}{
		"clear_leaves_under_clear":                    {"CLEAR", "plain", marked(clear2), nil, Verdict{true, "TLPWithinCeiling: CLEAR"}},
		"white_of_TLP_1_is_clear":                     {"CLEAR", "plain", marked(white1), nil, Verdict{true, "TLPWithinCeiling: CLEAR"}},
		"green_stays_under_clear":                     {"CLEAR", "plain", marked(green2), nil, Verdict{false, "TLPAboveCeiling: GREEN"}},
		"green_leaves_under_amber":                    {"AMBER", "plain", marked(green2), nil, Verdict{true, "TLPWithinCeiling: GREEN"}},
		"amber_of_TLP_1_leaves_under_amber":           {"AMBER", "plain", marked(amber1), nil, Verdict{true, "TLPWithinCeiling: AMBER"}},
		"amber_strict_never_leaves":                   {"AMBER", "open", marked(amberStrict2), nil, Verdict{false, "TLPAboveCeiling: AMBER+STRICT"}},
		"red_never_leaves":                            {"AMBER", "open", marked(red2), nil, Verdict{false, "TLPAboveCeiling: RED"}},
		"red_of_TLP_1_never_leaves":                   {"AMBER", "open", marked(red1), nil, Verdict{false, "TLPAboveCeiling: RED"}},
		"the_strictest_marking_wins":                  {"GREEN", "open", marked(clear2, amber2, green2), nil, Verdict{false, "TLPAboveCeiling: AMBER"}},
		"unmarked_stays":                              {"AMBER", "plain", marked(), nil, Verdict{false, "Unmarked"}},
		"unmarked_leaves_if_its_source_says_so":       {"CLEAR", "open", marked(), nil, Verdict{true, "TLPWithinCeiling: CLEAR"}},
		"unmarked_stays_if_its_source_says_red":       {"AMBER", "red", marked(), nil, Verdict{false, "Unmarked"}},
		"the_source_does_not_change_a_marking":        {"GREEN", "red", marked(green2), nil, Verdict{true, "TLPWithinCeiling: GREEN"}},
		"a_statement_restricts_nothing":               {"CLEAR", "open", marked(statement), nil, Verdict{true, "TLPWithinCeiling: CLEAR"}},
		"a_statement_opens_nothing":                   {"AMBER", "plain", marked(statement), nil, Verdict{false, "Unmarked"}},
		"a_statement_beside_a_marking_does_not_count": {"GREEN", "plain", marked(statement, green2), nil, Verdict{true, "TLPWithinCeiling: GREEN"}},
		"an_unknown_marking_stays":                    {"AMBER", "open", marked(stranger), nil, Verdict{false, "UnknownMarking"}},
		"an_unknown_marking_beside_clear_stays":       {"AMBER", "open", marked(clear2, stranger), nil, Verdict{false, "UnknownMarking"}},
		"red_beside_an_unknown_marking_is_red":        {"AMBER", "open", marked(stranger, red2), nil, Verdict{false, "TLPAboveCeiling: RED"}},
		"an_id_in_upper_case_is_unknown":              {"AMBER", "open", marked(strings.ToUpper(clear2)), nil, Verdict{false, "UnknownMarking"}},
		"a_type_that_is_not_named_stays":              {"CLEAR", "plain", marked(clear2), []string{"malware"}, Verdict{false, "TypeNotAllowed"}},
		"a_type_that_is_named_leaves":                 {"CLEAR", "plain", marked(clear2), []string{"indicator", "malware"}, Verdict{true, "TLPWithinCeiling: CLEAR"}},
		"marking_counts_before_type":                  {"CLEAR", "plain", marked(red2), []string{"malware"}, Verdict{false, "TLPAboveCeiling: RED"}},
		"an_unknown_source_shares_nothing":            {"AMBER", "other", marked(clear2), nil, Verdict{false, "UnknownSource"}},
		"a_standard_TLP_definition_leaves":            {"CLEAR", "plain", parsed(t, genuine), nil, Verdict{true, "TLPWithinCeiling: CLEAR"}},
		"a_TLP_definition_with_more_in_it_stays":      {"AMBER", "open", parsed(t, strings.Replace(genuine, `"name"`, `"x_secret":"y","name"`, 1)), nil, Verdict{false, "UnknownMarking"}},
		"a_TLP_definition_of_another_level_stays":     {"AMBER", "open", parsed(t, strings.ReplaceAll(genuine, clear2, red2)), nil, Verdict{false, "UnknownMarking"}},
		"a_look_alike_of_TLP_stays":                   {"AMBER", "open", parsed(t, lookAlike), nil, Verdict{false, "UnknownMarking"}},
		"a_statement_follows_its_source":              {"CLEAR", "open", parsed(t, plainStatement), nil, Verdict{true, "TLPWithinCeiling: CLEAR"}},
		"a_statement_without_declaration_stays":       {"AMBER", "plain", parsed(t, plainStatement), nil, Verdict{false, "Unmarked"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := policy(t, tt.ceiling, tt.types...).Decide(tt.source, tt.object); got != tt.want {
				t.Errorf("verdict = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestStandardDefinitionsLeave(t *testing.T) {
	bundle, err := os.ReadFile("../../test/data/tlp-2.0.json")
	if err != nil {
		t.Fatal(err)
	}
	r := stix.NewReader(bytes.NewReader(bundle))
	for n := 0; ; n++ {
		o, err := r.Read()
		if errors.Is(err, io.EOF) && n == 5 {
			return
		}
		if err != nil {
			t.Fatalf("after %d definitions: %v", n, err)
		}
		if got := policy(t, "CLEAR").Decide("plain", o); !got.Share {
			t.Errorf("%s: %+v", o.ID, got)
		}
		if _, ok := LevelOf(o.ID); !ok {
			t.Errorf("%s is not known", o.ID)
		}
	}
}

func TestNewPolicyRefuses(t *testing.T) {
	for name, r := range map[string]config.Rule{
		"no_ceiling": {}, "a_ceiling_of_red": {MaxTLP: "RED"}, "a_ceiling_of_amber_strict": {MaxTLP: "AMBER+STRICT"}, "a_ceiling_in_lower_case": {MaxTLP: "clear"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewPolicy(r, nil, nil); err == nil {
				t.Error("it is accepted")
			}
		})
	}
	if _, err := NewPolicy(config.Rule{MaxTLP: "CLEAR"}, []config.Source{{Name: "a", UnmarkedAs: "WHITE"}}, nil); err == nil {
		t.Error("an unknown unmarkedAs is accepted")
	}
}

func TestHashChangesWithWhatDecides(t *testing.T) {
	type in struct {
		rule       config.Rule
		sources    []config.Source
		statements []string
	}
	hash := func(x in) string {
		p, err := NewPolicy(x.rule, x.sources, x.statements)
		if err != nil {
			t.Fatal(err)
		}
		return p.Hash()
	}
	base := in{config.Rule{MaxTLP: "GREEN", Types: []string{"tool", "malware"}}, []config.Source{{Name: "a"}, {Name: "b", UnmarkedAs: "CLEAR"}}, []string{"x", "y"}}
	same := in{config.Rule{MaxTLP: "GREEN", Types: []string{"malware", "tool"}}, []config.Source{{Name: "b", UnmarkedAs: "CLEAR"}, {Name: "a", UnmarkedAs: "AMBER+STRICT"}}, []string{"y", "x", "y"}}
	if hash(base) != hash(same) {
		t.Error("the order of what decides changes the hash")
	}
	seen := map[string]string{hash(base): "base"}
	for name, x := range map[string]in{
		"ceiling":     {config.Rule{MaxTLP: "AMBER", Types: base.rule.Types}, base.sources, base.statements},
		"types":       {config.Rule{MaxTLP: "GREEN", Types: []string{"tool"}}, base.sources, base.statements},
		"all_types":   {config.Rule{MaxTLP: "GREEN"}, base.sources, base.statements},
		"declaration": {base.rule, []config.Source{{Name: "a"}, {Name: "b"}}, base.statements},
		"source":      {base.rule, base.sources[:1], base.statements},
		"statement":   {base.rule, base.sources, []string{"x"}},
	} {
		if other, ok := seen[hash(x)]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[hash(x)] = name
	}
}

// TestNothingLeavesUnlessTheRuleAllowsIt compares random decisions with the
// promise, stated another way: what leaves has only known markings, all within
// the ceiling, or none and a declaration within it, and a named type.
func TestNothingLeavesUnlessTheRuleAllowsIt(t *testing.T) {
	levels := map[string]Level{clear2: Clear, white1: Clear, green2: Green, amber2: Amber, amber1: Amber, amberStrict2: AmberStrict, red2: Red, red1: Red}
	pool := []string{clear2, white1, green2, amber2, amber1, amberStrict2, red2, red1, statement, stranger, "", "TLP:CLEAR"}
	declared := map[string]Level{"plain": AmberStrict, "open": Clear, "red": Red, "other": Red}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	shared := 0
	for range 20_000 {
		ceiling := []Level{Clear, Green, Amber}[random.IntN(3)]
		types := [][]string{nil, {"indicator"}, {"malware"}}[random.IntN(3)]
		source := []string{"plain", "open", "red", "other"}[random.IntN(4)]
		var refs []string
		for range random.IntN(4) {
			refs = append(refs, pool[random.IntN(len(pool))])
		}
		got := policy(t, ceiling.String(), types...).Decide(source, marked(refs...))
		allowed, marks := source != "other", 0
		for _, ref := range refs {
			if ref == statement {
				continue
			}
			marks++
			level, known := levels[ref]
			allowed = allowed && known && level <= ceiling
		}
		allowed = allowed && (marks > 0 || declared[source] <= ceiling) && (types == nil || slices.Contains(types, "indicator"))
		if got.Share != allowed {
			t.Fatalf("seed %d: ceiling %v, types %v, source %s, markings %v: %+v", seed, ceiling, types, source, refs, got)
		}
		if got.Share {
			shared++
		}
	}
	if shared < 1000 {
		t.Errorf("only %d of the objects leave", shared)
	}
}

func TestLevels(t *testing.T) {
	for l := Clear; l <= Red; l++ {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("%v = %v, %v", l, got, err)
		}
	}
	for _, l := range []Level{0, 6} {
		if fmt.Sprint(l) != "none" {
			t.Errorf("level %d = %v", int(l), l)
		}
	}
}
