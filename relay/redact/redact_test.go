// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
)

const head = `{"type":"identity","spec_version":"2.1","id":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z"`

func parsed(t *testing.T, raw string) stix.Object {
	t.Helper()
	o, err := stix.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestApply(t *testing.T) {
	props := config.Redaction{Properties: []string{"description", "x_who"}}
	strip := config.Redaction{VictimIdentities: config.VictimsStrip}
	for name, c := range map[string]struct {
		policy  config.Redaction
		victim  bool
		in, out string
	}{
		"what_loses_nothing_stays_as_it_is": {props, false, head + `, "name": "Alfa"}`, head + `, "name": "Alfa"}`},
		"named_properties_go": {
			props, false, head + `,"description":"secret","name": "\u0041","x_who":{"a":[1]}}`,
			head + `,"name":"\u0041","extensions":{"` + Extension + `":{"extension_type":"property-extension","redacted":["description"],"others":1}}}`,
		},
		"an_escaped_name_is_no_way_around": {
			props, false, head + `,"descri\u0070tion":"secret"}`,
			head + `,"extensions":{"` + Extension + `":{"extension_type":"property-extension","redacted":["description"]}}}`,
		},
		"extensions_stay_beside_ours": {
			props, false, head + `,"extensions":{"x":{"a":1},"` + Extension + `":"forged"},"description":"secret"}`,
			head + `,"extensions":{"x":{"a":1},"` + Extension + `":{"extension_type":"property-extension","redacted":["description"]}}}`,
		},
		"granular_markings_go_with_what_they_select": {
			props, false, head + `,"description":"s","name":"n","granular_markings":[{"selectors":["description"],"marking_ref":"a"},{"selectors":["x_who.[0].a","name"],"marking_ref":"b"},{"selectors":["name"],"lang":"en"}]}`,
			head + `,"name":"n","granular_markings":[{"selectors":["x_who.[0].a","name"],"marking_ref":"b"},{"selectors":["name"],"lang":"en"}],` +
				`"extensions":{"` + Extension + `":{"extension_type":"property-extension","redacted":["description"]}}}`,
		},
		"the_last_granular_marking_takes_the_list_with_it": {
			props, false, head + `,"description":"s","granular_markings":[{"selectors":["description"],"marking_ref":"a"}]}`,
			head + `,"extensions":{"` + Extension + `":{"extension_type":"property-extension","redacted":["description"]}}}`,
		},
		"a_victim_loses_all_that_tells_who_it_is": {
			strip, true, head + `,"name":"Alfa Water","identity_class":"organization","sectors":["water"],"contact_information":"x","object_marking_refs":["m"]}`,
			head + `,"name":"` + VictimName + `","identity_class":"organization","object_marking_refs":["m"],` +
				`"extensions":{"` + Extension + `":{"extension_type":"property-extension","redacted":["contact_information","sectors"],"victim":true}}}`,
		},
		"what_is_the_authors_own_is_counted_and_not_named": {
			config.Redaction{Properties: []string{"x_case_delta", "undercover"}}, false, head + `,"name":"Alfa","undercover":true,"x_case_delta":1}`,
			head + `,"name":"Alfa","extensions":{"` + Extension + `":{"extension_type":"property-extension","redacted":[],"others":2}}}`,
		},
		"a_victim_does_not_tell_the_names_of_its_authors_own_properties": {
			strip, true, head + `,"name":"Alfa Water","x_water_plant_north":1,"roles":["a"]}`,
			head + `,"name":"` + VictimName + `","extensions":{"` + Extension + `":{"extension_type":"property-extension","redacted":["roles"],"others":1,"victim":true}}}`,
		},
		"another_identity_stays":             {strip, false, head + `,"name":"Alfa"}`, head + `,"name":"Alfa"}`},
		"a_victim_stays_if_victims_are_kept": {props, true, head + `,"name":"Alfa"}`, head + `,"name":"Alfa"}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(c.policy)
			o := parsed(t, c.in)
			form := p.Form(o, c.victim)
			got, err := p.Apply(o.Raw, form)
			if err != nil || string(got) != c.out {
				t.Errorf("got  %s\nwant %s, %v", got, c.out, err)
			}
			if (form == "") != (c.in == c.out) {
				t.Errorf("form is %q", form)
			}
			after := parsed(t, string(got))
			if after.ID != o.ID || !after.Version.Equal(o.Version) {
				t.Errorf("it is another object now: %+v", after)
			}
		})
	}
}

func TestAPolicyThatRedactsNothingIsNone(t *testing.T) {
	if p := New(config.Redaction{VictimIdentities: config.VictimsKeep}); p != nil || p.Digest() != "" || p.Victims() || p.Form(stix.Object{}, true) != "" {
		t.Errorf("got %+v", p)
	}
}

func TestMarkingDefinitionsStayWhole(t *testing.T) {
	p := New(config.Redaction{Properties: []string{"name", "extensions"}})
	if form := p.Form(stix.Object{Type: stix.TypeMarkingDefinition, Raw: []byte(`{"name":"TLP:CLEAR"}`)}, false); form != "" {
		t.Errorf("form is %q", form)
	}
}

func TestFormsTellApartWhatWasLost(t *testing.T) {
	p, wider := New(config.Redaction{Properties: []string{"a_b_c", "description"}}), New(config.Redaction{Properties: []string{"description", "other", "a_b_c"}})
	one, two := parsed(t, head+`,"description":"x"}`), parsed(t, head+`,"a_b_c":1,"description":"x"}`)
	if p.Form(one, false) == p.Form(two, false) || p.Form(one, false) != wider.Form(one, false) {
		t.Error("the form does not stand for what was lost")
	}
	if p.Digest() == wider.Digest() || p.Digest() != New(config.Redaction{Properties: []string{"description", "a_b_c"}}).Digest() {
		t.Error("the digest does not stand for the policy")
	}
}

// FuzzApply: whatever the object, what was named is gone, the rest is there, and the
// same comes out again.
func FuzzApply(f *testing.F) {
	f.Add([]byte(head + `,"description":"s","granular_markings":[{"selectors":["description"],"marking_ref":"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"}]}`))
	f.Add([]byte(head + `,"name":"x","extensions":[],"description":{"extensions":1}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := stix.Parse(raw)
		if err != nil {
			return
		}
		p := New(config.Redaction{Properties: []string{"description"}, VictimIdentities: config.VictimsStrip})
		for _, ofVictim := range []bool{false, true} {
			got, err := p.Apply(bytes.Clone(raw), p.Form(o, ofVictim))
			if err != nil {
				return // such an object is not sent
			}
			again, err := stix.Parse(got)
			if err != nil && !strings.Contains(err.Error(), stix.ErrTooLarge.Error()) {
				t.Fatalf("%s is no object: %v", got, err)
			}
			var members map[string]json.RawMessage
			if json.Unmarshal(got, &members) == nil && members["description"] != nil {
				t.Errorf("the description is there: %s", got)
			}
			if !slices.Equal(again.Markings, o.Markings) && !bytes.Contains(raw, []byte("granular_markings")) && err == nil {
				t.Errorf("markings are %q, were %q", again.Markings, o.Markings)
			}
		}
	})
}

func TestTranslationsOfWhatIsLeftOutAreWithheld(t *testing.T) {
	both := New(config.Redaction{Properties: []string{"description"}, VictimIdentities: config.VictimsStrip})
	const lang = `{"type":"language-content","spec_version":"2.1","id":"language-content--f431f809-377b-45e0-aa1c-6a4751cae5ff","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",`
	for name, tt := range map[string]struct {
		policy *Policy
		raw    string
		want   bool
	}{
		"an_identity":           {both, `"object_ref":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff","contents":{"de":{"name":"A"}}}`, true},
		"a_redacted_property":   {both, `"object_ref":"tool--f431f809-377b-45e0-aa1c-6a4751cae5ff","contents":{"fr":{"name":"A"},"de":{"name":"A", "description":"B"}}}`, true},
		"no_languages":          {both, `"object_ref":"tool--f431f809-377b-45e0-aa1c-6a4751cae5ff","contents":["description"]}`, true},
		"no_properties":         {both, `"object_ref":"tool--f431f809-377b-45e0-aa1c-6a4751cae5ff","contents":{"de":"description: B"}}`, true},
		"another_property":      {both, `"object_ref":"tool--f431f809-377b-45e0-aa1c-6a4751cae5ff","contents":{"de":{"name":"A"}}}`, false},
		"victims_that_are_kept": {New(config.Redaction{Properties: []string{"description"}}), `"object_ref":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff","contents":{"de":{"name":"A"}}}`, false},
		"no_policy":             {nil, `"object_ref":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff","contents":{"de":{"description":"A"}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.policy.Withholds(parsed(t, lang+tt.raw)); got != tt.want {
				t.Errorf("withheld is %t", got)
			}
		})
	}
}
