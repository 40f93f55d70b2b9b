// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Level is a level of the Traffic Light Protocol 2.0 (FIRST, August 2022). A
// larger one is stricter.
type Level int

// The levels.
const (
	Clear Level = iota + 1
	Green
	Amber
	AmberStrict
	Red
)

var names = [...]string{Clear: "CLEAR", Green: "GREEN", Amber: "AMBER", AmberStrict: "AMBER+STRICT", Red: "RED"}

// String is the level's name without "TLP:".
func (l Level) String() string {
	if l < Clear || l > Red {
		return "none"
	}
	return names[l]
}

// ParseLevel reads a name as String writes it.
func ParseLevel(name string) (Level, error) {
	for l := Clear; l <= Red; l++ {
		if names[l] == name {
			return l, nil
		}
	}
	return 0, fmt.Errorf("TLP level %q is none of CLEAR, GREEN, AMBER, AMBER+STRICT and RED", name)
}

// definition is a marking definition that a standard fixes.
type definition struct {
	level   Level
	name    string
	version int
}

// The identifiers of TLP 2.0 are those of the STIX Common Objects of OASIS, those of
// TLP 1.0 are in STIX 2.1 section 7.2.1.4. AMBER of TLP 1.0 includes the
// recipient's clients, as AMBER of TLP 2.0 does.
var definitions = map[string]definition{
	"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": {Clear, "clear", 2},
	"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": {Green, "green", 2},
	"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": {Amber, "amber", 2},
	"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": {AmberStrict, "amber+strict", 2},
	"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": {Red, "red", 2},
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": {Clear, "white", 1},
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": {Green, "green", 1},
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": {Amber, "amber", 1},
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": {Red, "red", 1},
}

// LevelOf returns the level that a marking definition's identifier stands for;
// false if it is no identifier of TLP.
func LevelOf(id string) (Level, bool) {
	d, ok := definitions[id]
	return d.level, ok
}

// standardForms are the objects that the standards print for a definition.
func (d definition) standardForms(id string) []string {
	upper := strings.ToUpper(d.name)
	if d.version == 2 {
		return []string{fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2022-10-01T00:00:00.000Z","name":"TLP:%s",`+
			`"extensions":{"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d":{"extension_type":"property-extension","tlp_2_0":%q}}}`, id, upper, d.name)}
	}
	rest := fmt.Sprintf(`"id":%q,"created":"2017-01-20T00:00:00.000Z","definition_type":"tlp","definition":{"tlp":%q}}`, id, d.name)
	return []string{
		`{"type":"marking-definition",` + rest,
		`{"type":"marking-definition","spec_version":"2.1",` + rest,
		`{"type":"marking-definition","spec_version":"2.1","name":"TLP:` + upper + `",` + rest,
	}
}

// isStandardDefinition tells whether an object is a TLP marking definition as
// the standard has it, and nothing more. Such an object tells nobody anything new.
func isStandardDefinition(id string, raw []byte) bool {
	d, ok := definitions[id]
	if !ok {
		return false
	}
	got := jsontext.Value(bytes.Clone(raw))
	if got.Canonicalize() != nil {
		return false
	}
	for _, form := range d.standardForms(id) {
		want := jsontext.Value(form)
		if want.Canonicalize() == nil && bytes.Equal(got, want) {
			return true
		}
	}
	return false
}

// TLPMarkings are the identifiers of all marking definitions of TLP 2.0 and 1.0, the
// least strict first, of one level those of TLP 2.0 first.
func TLPMarkings() []string {
	return slices.SortedFunc(maps.Keys(definitions), func(a, b string) int {
		return cmp.Or(cmp.Compare(definitions[a].level, definitions[b].level), -cmp.Compare(definitions[a].version, definitions[b].version))
	})
}

// MarkingOf is the identifier of the TLP 2.0 marking definition of a level; "" for none.
func MarkingOf(l Level) string {
	for _, id := range TLPMarkings() {
		if definitions[id].level == l && definitions[id].version == 2 {
			return id
		}
	}
	return ""
}
