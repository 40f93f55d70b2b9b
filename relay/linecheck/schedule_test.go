// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestTheTwoSidesOfALineCheckHalfAnIntervalApart(t *testing.T) {
	for _, interval := range []time.Duration{10 * time.Second, 15 * time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		a, b := newSchedule(interval, "alfa.example", "bravo.example"), newSchedule(interval, "bravo.example", "alfa.example")
		apart := (b.offset - a.offset).Abs()
		if apart != interval/2 {
			t.Errorf("at %v they are %v apart", interval, apart)
		}
		if slot := a.slot(noon); slot.After(noon) || noon.Sub(slot) >= interval {
			t.Errorf("the slot of %v is %v", noon, slot)
		}
		if s := a.slot(noon); a.slot(s) != s || a.slot(s.Add(-time.Microsecond)) != s.Add(-interval) {
			t.Errorf("slots of %v do not follow each other", interval)
		}
	}
	if s := newSchedule(time.Hour, "a", "b"); s.slot(time.Unix(-10, 0)).After(time.Unix(-10, 0)) {
		t.Error("a slot before 1970 lies after its time")
	}
}

func TestWhenAreChecksDue(t *testing.T) {
	s := schedule{interval: time.Hour}
	at := func(wall, steady time.Duration) moment { return moment{wall: noon.Add(wall), steady: steady} }
	for name, tc := range map[string]struct {
		before, now moment
		last        time.Time
		due, jumped bool
		slot        time.Time
		wait        time.Duration
	}{
		"the_first_ever_is_sent_at_once":                           {moment{}, at(40*time.Minute, 0), time.Time{}, true, false, noon, 3 * time.Minute},
		"a_slot_is_sent_once":                                      {at(0, 0), at(time.Minute, time.Minute), noon, false, false, noon, 3 * time.Minute},
		"the_next_is_waited_for_to_the_second":                     {at(59*time.Minute, 0), at(59*time.Minute+50*time.Second, 50*time.Second), noon, false, false, noon, 10 * time.Second},
		"it_is_due_on_time":                                        {at(59*time.Minute, 0), at(time.Hour, time.Minute), noon, true, false, noon.Add(time.Hour), 3 * time.Minute},
		"after_a_night_down_the_running_slot_is_sent":              {moment{}, at(9*time.Hour+5*time.Minute, 0), noon, true, false, noon.Add(9 * time.Hour), 3 * time.Minute},
		"after_a_restart_in_the_same_slot_nothing_is":              {moment{}, at(30*time.Minute, 0), noon, false, false, noon, 3 * time.Minute},
		"a_clock_set_a_day_forward_is_seen":                        {at(0, 0), at(24*time.Hour, 10*time.Second), noon, true, true, noon.Add(24 * time.Hour), 3 * time.Minute},
		"a_clock_set_a_day_back_is_seen":                           {at(0, 0), at(-24*time.Hour, 10*time.Second), noon, true, true, noon.Add(-24 * time.Hour), 3 * time.Minute},
		"a_clock_that_was_ahead_before_we_started_holds_up_nobody": {moment{}, at(0, 0), noon.Add(24 * time.Hour), true, false, noon, 3 * time.Minute},
		"a_clock_that_is_corrected_by_a_second_is_no_jump":         {at(0, 0), at(61*time.Second, time.Minute), noon, false, false, noon, 3 * time.Minute},
		"a_process_that_was_stopped_for_a_day_is_late":             {at(0, 0), at(24*time.Hour, 24*time.Hour), noon, true, false, noon.Add(24 * time.Hour), 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.next(tc.before, tc.now, tc.last)
			if want := (turn{due: tc.due, slot: tc.slot, jumped: tc.jumped, wait: tc.wait}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestSlotsThatWereLeftOutAreCounted(t *testing.T) {
	s := schedule{interval: time.Hour}
	for name, tc := range map[string]struct {
		last, slot time.Time
		want       int64
	}{
		"none_before":            {time.Time{}, noon, 0},
		"the_next":               {noon, noon.Add(time.Hour), 0},
		"eight_hours_down":       {noon, noon.Add(9 * time.Hour), 8},
		"a_clock_that_went_back": {noon, noon.Add(-24 * time.Hour), 0},
		"the_same":               {noon, noon, 0},
		"a_thousand_years":       {noon, noon.AddDate(1000, 0, 0), maxSkipped},
	} {
		if got := s.between(tc.last, tc.slot); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestTextsComeInTurnAndFit(t *testing.T) {
	seen := map[string]bool{}
	for slot := int64(-20); slot < 20; slot++ {
		id, text := textFor(nil, slot)
		seen[id] = true
		if !isLine(id, maxTextID) || !isLine(text, 256) || text == "" {
			t.Errorf("text %q of %d characters does not fit", id, len(text))
		}
	}
	if len(seen) != len(builtIn) {
		t.Errorf("%d of %d texts are used", len(seen), len(builtIn))
	}
	if id, text := textFor([]string{"a", "b"}, -1); id != "own-2" || text != "b" {
		t.Errorf("got %s %s", id, text)
	}
}
