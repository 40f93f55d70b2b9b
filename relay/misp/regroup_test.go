// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/rule"
)

// TestWhatAReportNamesNoMoreIsInTheEventOfItsDay: it is in no report then, and would be nowhere.
func TestWhatAReportNamesNoMoreIsInTheEventOfItsDay(t *testing.T) {
	s := newShop(t)
	s.put(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, ""), indicatorText(2, 1, "[domain-name:value = 'two.example']", rule.Green, ""), reportText(1, 1, 2))
	both := map[string][]string{"Campaign X": {"domain=one.example tlp:green", "domain=two.example tlp:green"}}
	if diff := cmp.Diff(both, s.events()); diff != "" {
		t.Error(diff)
	}
	s.clock = s.clock.Add(24 * time.Hour)
	came := s.clock.Unix()
	s.put(reportText(2, 2))
	apart := map[string][]string{"Campaign X": {"domain=two.example tlp:green"}, "bravo 2026-01-02": {"domain=one.example tlp:green"}}
	if diff := cmp.Diff(apart, s.events()); diff != "" {
		t.Error(diff)
	}
	if got := s.stamps()["bravo 2026-01-02"]; got != came {
		t.Errorf("the event of the day changed at %d, not at %d", got, came)
	}
	s.put(reportText(3, 1, 2))
	if diff := cmp.Diff(append([]string{}, both["Campaign X"]...), s.events()["Campaign X"]); diff != "" {
		t.Error(diff)
	}
	s.put(reportText(4, 1))
	s.forget()
	if got := s.events(); len(got["Campaign X"]) != 1 || len(got["bravo 2026-01-02"]) != 1 {
		t.Errorf("made anew: %q", got)
	}
}

// TestAnOlderVersionOfAReportThatComesLaterChangesNothing: the newest version says what is in the event.
func TestAnOlderVersionOfAReportThatComesLaterChangesNothing(t *testing.T) {
	s := newShop(t)
	s.put(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, ""), indicatorText(2, 1, "[domain-name:value = 'two.example']", rule.Green, ""), reportText(2, 2))
	before, stamps := s.events(), s.stamps()
	want := map[string][]string{"Campaign X": {"domain=two.example tlp:green"}, "bravo 2026-01-02": {"domain=one.example tlp:green"}}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Error(diff)
	}
	s.put(reportText(1, 1))
	if diff := cmp.Diff(want, s.events()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(stamps["bravo 2026-01-02"], s.stamps()["bravo 2026-01-02"]); diff != "" {
		t.Error(diff)
	}
	s.forget()
	if diff := cmp.Diff(want, s.events()); diff != "" {
		t.Error("made anew:", diff)
	}
}

// TestReferencesStaySorted: what others read of them meanwhile does not change.
func TestReferencesStaySorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func(most int, report int32) (list []heldBy) {
		for range r.IntN(most) {
			list = append(list, heldBy{object: r.Uint64N(50), report: report})
		}
		return list
	}
	for report := range int32(200) {
		sorted := append(some(40, report), some(40, report+1)...)
		slices.SortFunc(sorted, heldBy.compare)
		fresh, before := some(20, report+r.Int32N(3)), slices.Clone(sorted)
		want := slices.Concat(sorted, fresh)
		slices.SortFunc(want, heldBy.compare)
		if got := merged(sorted, fresh); !slices.Equal(got, want) || !slices.Equal(sorted, before) {
			t.Fatalf("%v and %v make %v", before, fresh, got)
		}
	}
}
