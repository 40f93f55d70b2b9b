// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/route"
)

const ms = time.Millisecond

func TestRank(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	up := func(id string, roundTrip time.Duration) route.Path {
		return route.Path{ID: id, State: report.Up, RoundTrip: roundTrip}
	}
	for _, c := range []struct {
		name  string
		paths []route.Path
		want  []string
	}{
		{"of_nothing_is_nothing", nil, []string{}},
		{"keeps_the_given_order_of_equals", []route.Path{{ID: "b"}, {ID: "a"}}, []string{"b", "a"}},
		{"puts_the_lower_priority_number_first", []route.Path{{ID: "a", Priority: 10}, {ID: "b"}}, []string{"b", "a"}},
		{"orders_by_state_before_priority", []route.Path{
			{ID: "down", State: report.Down}, {ID: "unknown", State: report.Unknown, Priority: 1}, {ID: "recovering", State: report.Recovering, Priority: 2},
			{ID: "suspect", State: report.Suspect, Priority: 3}, {ID: "up", State: report.Up, Priority: 4},
		}, []string{"up", "suspect", "recovering", "unknown", "down"}},
		{"takes_a_word_it_does_not_know_as_Unknown", []route.Path{{ID: "a", State: report.Down}, {ID: "b", State: "Sleepy"}, {ID: "c", State: report.Recovering}}, []string{"c", "b", "a"}},
		{"keeps_all_when_all_are_down", []route.Path{{ID: "a", State: report.Down, Priority: 2}, {ID: "b", State: report.Down, Priority: 1}}, []string{"b", "a"}},
		{"prefers_what_worked_last_while_nothing_is_known", []route.Path{{ID: "a", LastWorked: now}, {ID: "b", LastWorked: now.Add(time.Second)}, {ID: "c"}}, []string{"b", "a", "c"}},
		{"does_not_ask_what_worked_last_of_live_paths", []route.Path{{ID: "a", State: report.Up}, {ID: "b", State: report.Up, LastWorked: now}}, []string{"a", "b"}},
		{"returns_to_the_better_priority_once_it_is_up", []route.Path{{ID: "a", Priority: 1, State: report.Up, LastWorked: now}, {ID: "b", State: report.Up}}, []string{"b", "a"}},
		{"puts_the_clearly_faster_first", []route.Path{up("a", 30*ms), up("b", 20*ms)}, []string{"b", "a"}},
		{"does_not_move_for_less_than_5_ms", []route.Path{up("a", 6*ms), up("b", 2*ms)}, []string{"a", "b"}},
		{"does_not_move_for_less_than_20_%", []route.Path{up("a", 300*ms), up("b", 250*ms)}, []string{"a", "b"}},
		{"takes_the_fastest_of_the_clearly_faster", []route.Path{up("a", 100*ms), up("b", 60*ms), up("c", 58*ms)}, []string{"c", "b", "a"}},
		{"does_not_take_unmeasured_for_fast", []route.Path{up("a", 300*ms), up("b", 0)}, []string{"a", "b"}},
		{"does_not_take_unmeasured_for_slow", []route.Path{up("a", 0), up("b", 2*ms)}, []string{"a", "b"}},
		{"does_not_ask_for_the_speed_of_the_dead", []route.Path{{ID: "a", State: report.Down, RoundTrip: 300 * ms}, {ID: "b", State: report.Down, RoundTrip: ms}}, []string{"a", "b"}},
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

func TestPlan(t *testing.T) {
	path := func(id string, state report.State, roundTrip time.Duration) route.Path {
		return route.Path{ID: id, State: state, RoundTrip: roundTrip}
	}
	a, b, c := path("a", report.Up, 300*ms), path("b", report.Up, 300*ms), path("c", report.Up, 300*ms)
	for _, test := range []struct {
		name   string
		paths  []route.Path
		copies int
		want   []route.Attempt
	}{
		{"of_nothing_is_nothing", nil, 1, []route.Attempt{}},
		{"begins_with_one_path_at_once", []route.Path{a}, 1, []route.Attempt{{"a", 0}}},
		{"waits_1.1_round_trips", []route.Path{a, b, c}, 1, []route.Attempt{{"a", 0}, {"b", 330 * ms}, {"c", 660 * ms}}},
		{"takes_no_copies_as_one", []route.Path{a, b}, 0, []route.Attempt{{"a", 0}, {"b", 330 * ms}}},
		{"sends_copies_at_once", []route.Path{a, b, c}, 2, []route.Attempt{{"a", 0}, {"b", 0}, {"c", 330 * ms}}},
		{"sends_all_at_once", []route.Path{a, b, c}, 8, []route.Attempt{{"a", 0}, {"b", 0}, {"c", 0}}},
		{"leaves_a_short_way_20_ms", []route.Path{path("a", report.Up, ms), b}, 1, []route.Attempt{{"a", 0}, {"b", 20 * ms}}},
		{"leaves_the_peer_the_time_that_it_usually_takes", []route.Path{{ID: "a", State: report.Up, RoundTrip: ms, Answer: 90 * ms}, b}, 1, []route.Attempt{{"a", 0}, {"b", 90 * ms}}},
		{"leaves_an_unmeasured_way_250_ms", []route.Path{path("a", report.Up, 0), b}, 1, []route.Attempt{{"a", 0}, {"b", 250 * ms}}},
		{"does_not_wait_for_a_suspect", []route.Path{path("a", report.Suspect, 300*ms), path("b", report.Suspect, 300*ms), path("c", report.Suspect, 300*ms)}, 1,
			[]route.Attempt{{"a", 0}, {"b", 0}, {"c", 330 * ms}}},
		{"does_not_dial_all_dead_paths_in_one_burst", []route.Path{path("a", report.Down, ms), path("b", report.Down, ms), path("c", report.Down, ms), path("d", report.Down, ms)}, 1,
			[]route.Attempt{{"a", 0}, {"b", 0}, {"c", 250 * ms}, {"d", 500 * ms}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, route.Plan(test.paths, test.copies)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
