// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	id      = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
	marking = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"
)

func TestParse(t *testing.T) {
	modified := time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC)
	tests := map[string]struct {
		raw  string
		want Object
	}{
		"takes_id_type_version_and_markings": {
			`{"type":"indicator","spec_version":"2.1","id":"` + id + `","created":"2025-01-01T00:00:00.000Z","modified":"2026-01-02T03:04:05.6789Z",` +
				`"object_marking_refs":["a","b"],"granular_markings":[{"selectors":["name"],"marking_ref":"c"},{"lang":"fr","selectors":["name"]},{"marking_ref":"a","selectors":["x"]}],"revoked":true}`,
			Object{ID: id, Type: "indicator", SpecVersion: "2.1", Version: modified, Revoked: true, Markings: []string{"a", "b", "c"}},
		},
		"takes_the_creator": {
			`{"type":"indicator","spec_version":"2.1","id":"` + id + `","created_by_ref":"identity\u002d-8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`,
			Object{ID: id, Type: "indicator", SpecVersion: "2.1", CreatedBy: "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"},
		},
		"unquotes_names_and_values": {
			"\n{\"\\u0069d\":\"indicator\\u002d-8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f\",\"type\":\"indicator\",\"object\\u005fmarking_refs\":[\"\\u0061\"]} ",
			Object{ID: id, Type: "indicator", SpecVersion: "2.1", Markings: []string{"a"}},
		},
		"falls_back_to_created_and_to_spec_version_2.0": {
			`{"type":"indicator","id":"` + id + `","created":"2026-01-02T03:04:05.678900Z"}`,
			Object{ID: id, Type: "indicator", SpecVersion: "2.0", Version: modified},
		},
		"sees_a_plain_statement": {
			`{"type":"marking-definition","spec_version":"2.1","id":"` + marking + `","definition_type":"statement","definition":{"statement":"Copyright"}}`,
			Object{ID: marking, Type: "marking-definition", SpecVersion: "2.1", Statement: true},
		},
		"sees_no_plain_statement_in_a_text_that_claims_TLP": {
			`{"type":"marking-definition","id":"` + marking + `","definition_type":"statement","definition":{"statement":"TLP:RED, do not share"}}`,
			Object{ID: marking, Type: "marking-definition", SpecVersion: "2.1"},
		},
		"sees_no_plain_statement_in_a_name_that_claims_TLP": {
			`{"type":"marking-definition","id":"` + marking + `","name":"tlp amber","definition_type":"statement","definition":{"statement":"x"}}`,
			Object{ID: marking, Type: "marking-definition", SpecVersion: "2.1"},
		},
		"sees_no_plain_statement_beside_another_definition": {
			`{"type":"marking-definition","id":"` + marking + `","definition_type":"statement","definition":{"statement":"x","tlp":"red"}}`,
			Object{ID: marking, Type: "marking-definition", SpecVersion: "2.1"},
		},
		"sees_no_plain_statement_beside_an_extension": {
			`{"type":"marking-definition","id":"` + marking + `","definition_type":"statement","definition":{"statement":"x"},"extensions":{}}`,
			Object{ID: marking, Type: "marking-definition", SpecVersion: "2.1"},
		},
		"sees_no_statement_in_another_type": {
			`{"type":"indicator","id":"` + id + `","definition_type":"statement","definition":{"statement":"x"},"name":5}`,
			Object{ID: id, Type: "indicator", SpecVersion: "2.1"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tt.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(Object{}, "Raw"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
			if string(got.Raw) != tt.raw {
				t.Errorf("raw = %q, want it as received", got.Raw)
			}
		})
	}
}

func object(members string) string {
	return `{"type":"indicator","id":"` + id + `",` + members + `}`
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth)
	many := `"object_marking_refs":[`
	for i := range MaxMarkings + 1 {
		many += fmt.Sprintf(`"m%d",`, i)
	}
	many = strings.TrimSuffix(many, ",") + "]"
	tests := map[string]struct {
		raw  string
		want error
	}{
		"nothing":                        {"", ErrSyntax},
		"a_half":                         {`{"type":"indicator"`, ErrSyntax},
		"two_objects":                    {object(`"a":1`) + object(`"a":1`), ErrSyntax},
		"a_number":                       {"5", ErrInvalid},
		"an_array":                       {"[]", ErrInvalid},
		"duplicate_names":                {object(`"name":"a","name":"b"`), ErrSyntax},
		"an_escaped_duplicate":           {object(`"name":"a","\u006eame":"b"`), ErrSyntax},
		"a_duplicate_deep_inside":        {object(`"x":[{"a":1,"a":2}]`), ErrSyntax},
		"invalid_UTF-8":                  {object("\"name\":\"\xff\""), ErrSyntax},
		"an_unpaired_surrogate":          {object(`"name":"\ud800"`), ErrSyntax},
		"a_trailing_comma":               {object(`"a":1,`), ErrSyntax},
		"too_deep_an_object":             {object(`"x":` + deep), ErrTooDeep},
		"too_large_an_object":            {object(`"x":"` + strings.Repeat("x", MaxObjectBytes) + `"`), ErrTooLarge},
		"too_many_markings":              {object(many), ErrInvalid},
		"no_id":                          {`{"type":"indicator"}`, ErrInvalid},
		"an_id_without_UUID":             {`{"type":"not-an-id","id":"not-an-id"}`, ErrInvalid},
		"an_id_that_is_a_number":         {`{"type":"indicator","id":5}`, ErrInvalid},
		"a_type_in_upper_case":           {`{"type":"Indicator","id":"Indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`, ErrInvalid},
		"a_type_that_disagrees":          {`{"type":"malware","id":"` + id + `"}`, ErrInvalid},
		"no_type":                        {`{"id":"` + id + `"}`, ErrInvalid},
		"a_bundle":                       {`{"type":"bundle","id":"bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`, ErrInvalid},
		"another_spec_version":           {object(`"spec_version":"3.0"`), ErrInvalid},
		"a_time_without_zone":            {object(`"modified":"2026-01-02T03:04:05.678"`), ErrInvalid},
		"a_time_with_offset":             {object(`"modified":"2026-01-02T03:04:05.678+01:00"`), ErrInvalid},
		"a_time_that_is_a_number":        {object(`"modified":5`), ErrInvalid},
		"a_creator_that_is_a_list":       {object(`"created_by_ref":["a"]`), ErrInvalid},
		"revoked_as_a_string":            {object(`"revoked":"true"`), ErrInvalid},
		"markings_as_a_string":           {object(`"object_marking_refs":"a"`), ErrInvalid},
		"markings_as_null":               {object(`"object_marking_refs":null`), ErrInvalid},
		"markings_that_are_numbers":      {object(`"object_marking_refs":[1]`), ErrInvalid},
		"granular_markings_of_nothing":   {object(`"granular_markings":[{"selectors":["a"]}]`), ErrInvalid},
		"granular_markings_as_strings":   {object(`"granular_markings":["a"]`), ErrInvalid},
		"granular_markings_as_an_object": {object(`"granular_markings":{}`), ErrInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(tt.raw)); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			} else if len(err.Error()) > 600 {
				t.Errorf("error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestErrorsShowNoContent(t *testing.T) {
	_, err := Parse([]byte(object(`"description":"very secret`)))
	if err == nil || strings.Contains(err.Error(), "very secret") {
		t.Errorf("error = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(object(`"object_marking_refs":["a"],"granular_markings":[{"marking_ref":"c"}]`)))
	f.Add([]byte(`{"type":"marking-definition","id":"` + marking + `","definition_type":"statement","definition":{"statement":"x"}}`))
	f.Add([]byte(`{"a":[[[[{}]]]]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := string(raw)
		o, err := Parse(raw)
		if string(raw) != before {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		if typ, ok := SplitID(o.ID); !ok || typ != o.Type {
			t.Errorf("id %q, type %q", o.ID, o.Type)
		}
		again, err := NewReader(strings.NewReader(`{"objects":[` + before + `]}`)).Read()
		if err != nil {
			t.Fatalf("in a container: %v", err)
		}
		if diff := cmp.Diff(o, again, cmpopts.IgnoreFields(Object{}, "Raw")); diff != "" {
			t.Errorf("in a container (-alone +there):\n%s", diff)
		}
		if string(again.Raw) != strings.Trim(before, " \t\r\n") {
			t.Errorf("raw = %q, want %q", again.Raw, before)
		}
	})
}
