// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestWhatIsAReceivedCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		known  known
		number int64
		want   Verdict
	}{
		"the_first":                         {known{}, 1, Received},
		"the_first_that_we_hear_of_many":    {known{}, 900, Received},
		"the_next":                          {known{last: 4}, 5, Received},
		"one_after_others_were_lost":        {known{last: 4}, 9, Received},
		"the_same_again":                    {known{last: 4, stored: true, digest: "d"}, 4, Again},
		"the_same_again_much_later":         {known{last: 90, stored: true, digest: "d"}, 4, Again},
		"another_under_a_used_number":       {known{last: 4, stored: true, digest: "x"}, 4, Conflict},
		"an_old_slot_replayed":              {known{last: 4}, 3, Old},
		"a_database_that_was_set_back":      {known{last: 4, stored: true, digest: "x"}, 2, Conflict},
		"an_old_one_whose_day_is_summed_up": {known{last: 4000}, 2, Old},
	} {
		if got := judge(tc.known, tc.number, "d"); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestHowAPathStands(t *testing.T) {
	const limit = 90 * time.Minute
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	for name, tc := range map[string]struct {
		good, since time.Time
		undeclared  bool
		want        string
		until       time.Time
	}{
		"a_good_check_an_hour_ago":                   {ago(time.Hour), ago(9 * time.Hour), false, Answered, noon.Add(30 * time.Minute)},
		"the_moment_at_which_it_is_missed":           {ago(limit), ago(9 * time.Hour), false, Missed, time.Time{}},
		"just_before":                                {ago(limit - 1), ago(9 * time.Hour), false, Answered, noon.Add(1)},
		"never_and_we_have_just_begun":               {time.Time{}, ago(time.Minute), false, NotTested, noon.Add(limit - time.Minute)},
		"never_for_longer_than_allowed":              {time.Time{}, ago(limit), false, Missed, time.Time{}},
		"we_were_down_and_have_just_begun":           {ago(24 * time.Hour), ago(time.Minute), false, NotTested, noon.Add(limit - time.Minute)},
		"a_good_check_before_a_short_restart_counts": {ago(10 * time.Minute), ago(time.Minute), false, Answered, noon.Add(80 * time.Minute)},
		"the_clock_was_set_a_day_back":               {noon.Add(24 * time.Hour), noon, false, NotTested, noon.Add(limit)},
		"the_peer_has_not_said_that_it_checks":       {time.Time{}, ago(24 * time.Hour), true, NotDeclared, time.Time{}},
	} {
		got := stand(sight{good: tc.good, limit: limit, undeclared: tc.undeclared}, tc.since, noon)
		if got.state != tc.want || !got.until.Equal(tc.until) {
			t.Errorf("%s: %s until %v, want %s until %v", name, got.state, got.until, tc.want, tc.until)
		}
	}
}

func TestWhichPathsAreChecked(t *testing.T) {
	ours, theirs, standby := Way{"alfa.example", "b:1"}, Way{"bravo.example", "a:1"}, Way{"bravo.example", "a:2"}
	check := func(w Way, out bool, at time.Time, good bool, f facts) latest {
		l := latest{way: w, out: out, at: at, facts: f}
		if good {
			l.good = at
		}
		return l
	}
	show := func(all []sight) (out []string) {
		for _, s := range all {
			out = append(out, fmt.Sprint(s.way.DialledBy[:1], s.way.Address, " ", s.out, " ", s.limit, " ", s.undeclared, " ", s.failure))
		}
		return out
	}
	for name, tc := range map[string]struct {
		present []Way
		seen    []latest
		want    []string
	}{
		"a_peer_of_which_we_know_nothing": {[]Way{ours}, nil, []string{"ab:1 true 1m30s false ", "ab:1 false 1m30s true "}},
		"what_the_peer_declares_is_to_be_heard_though_it_is_cut": {
			[]Way{ours, theirs},
			[]latest{check(theirs, false, noon, true, facts{Dials: []string{"a:1", "a:2"}, IntervalSeconds: 120})},
			[]string{
				"ab:1 true 1m30s false ", "ab:1 false 2m30s false ", "ba:1 true 1m30s false ", "ba:1 false 2m30s false ",
				"ba:2 true 1m30s false ", "ba:2 false 2m30s false ",
			},
		},
		"its_last_word_counts": {
			[]Way{ours},
			[]latest{
				check(standby, false, noon, true, facts{Dials: []string{"a:1", "a:2"}, IntervalSeconds: 60}),
				check(theirs, false, noon.Add(time.Second), true, facts{Dials: []string{"a:1"}, IntervalSeconds: 60}),
			},
			[]string{"ab:1 true 1m30s false ", "ab:1 false 1m30s false ", "ba:1 true 1m30s false ", "ba:1 false 1m30s false "},
		},
		"the_last_failure_of_ours_is_told": {
			[]Way{ours}, []latest{check(ours, true, noon, true, facts{}), check(ours, true, noon.Add(time.Minute), false, facts{Failure: "cut"})},
			[]string{"ab:1 true 1m30s false cut", "ab:1 false 1m30s true "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := show(paths("alfa.example", "bravo.example", tc.present, tc.seen, 90*time.Second, time.Minute)); !slices.Equal(got, tc.want) {
				t.Errorf("got\n%q, want\n%q", got, tc.want)
			}
		})
	}
}
