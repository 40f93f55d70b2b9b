// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"sigs.k8s.io/yaml"
)

func TestContains(t *testing.T) {
	for name, tc := range map[string]struct {
		live, desired string
		want          bool
	}{
		"equal":                              {"a: 1", "a: 1", true},
		"fields_of_others_do_not_matter":     {"a: 1\nb: 2", "a: 1", true},
		"a_field_is_missing":                 {"b: 2", "a: 1", false},
		"a_field_differs":                    {"a: 2", "a: 1", false},
		"a_map_became_a_text":                {"a: x", "a: {b: 1}", false},
		"a_list_became_a_map":                {"a: {b: 1}", "a: [b]", false},
		"named_elements_in_another_order":    {"l: [{name: one, p: 1}, {name: two, q: 2}]", "l: [{name: two}, {name: one, p: 1}]", true},
		"a_named_element_more":               {"l: [{name: x}, {name: injected}]", "l: [{name: x}]", true},
		"a_named_element_less":               {"l: [{name: x}]", "l: [{name: x}, {name: other}]", false},
		"plain_elements_in_another_order":    {"l: [a, b]", "l: [b, a]", false},
		"a_plain_element_more":               {"l: [a, b]", "l: [a]", false},
		"elements_with_defaulted_fields":     {"l: [{port: 1, protocol: TCP}]", "l: [{port: 1}]", true},
		"an_empty_list_and_none":             {"a: 1", "l: []", false},
		"an_empty_element_matches_a_default": {"from: [{podSelector: {}}]", "from: [{podSelector: {}}]", true},
	} {
		t.Run(name, func(t *testing.T) {
			var live, desired any
			if err := yaml.Unmarshal([]byte(tc.live), &live); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(tc.desired), &desired); err != nil {
				t.Fatal(err)
			}
			if got := contains(live, desired); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	t.Run("numbers_of_any_Go_type", func(t *testing.T) {
		if !contains(map[string]any{"n": int64(3)}, map[string]any{"n": float64(3)}) {
			t.Error("3 and 3 are different")
		}
	})
}
