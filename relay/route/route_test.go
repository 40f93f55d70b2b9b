// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/route"
)

func TestRank(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		name  string
		paths []route.Path
		want  []string
	}{
		{"of_nothing_is_nothing", nil, []string{}},
		{"keeps_the_configured_order_of_equals", []route.Path{{Address: "b"}, {Address: "a"}}, []string{"b", "a"}},
		{"puts_the_lower_priority_number_first", []route.Path{{Address: "a", Priority: 10}, {Address: "b"}}, []string{"b", "a"}},
		{"puts_a_path_that_is_down_last", []route.Path{{Address: "a", Down: true}, {Address: "b", Priority: 100}}, []string{"b", "a"}},
		{"keeps_all_when_all_are_down", []route.Path{{Address: "a", Down: true, Priority: 2}, {Address: "b", Down: true, Priority: 1}}, []string{"b", "a"}},
		{"prefers_what_worked_last_among_equals", []route.Path{{Address: "a", LastWorked: now}, {Address: "b", LastWorked: now.Add(time.Second)}, {Address: "c"}}, []string{"b", "a", "c"}},
		{"returns_to_the_better_priority_once_it_is_up", []route.Path{{Address: "a", Priority: 1, LastWorked: now}, {Address: "b"}}, []string{"b", "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := append([]route.Path(nil), c.paths...)
			if diff := cmp.Diff(c.want, route.Rank(c.paths)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, c.paths); diff != "" {
				t.Errorf("Rank changed its input: %s", diff)
			}
		})
	}
}
