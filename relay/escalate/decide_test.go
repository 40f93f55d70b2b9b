// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	ladder := []config.Step{
		{Name: "pager", Stage: config.StageReceipt, Notify: []string{"p"}, RepeatSeconds: 600, MaxRepeats: 2},
		{Name: "chief", Stage: config.StageReceipt, AfterSeconds: 1800, Precedences: []string{"FLASH"}, Notify: []string{"c"}},
		{Name: "desk", Stage: config.StageInbox, Notify: []string{"p"}},
	}
	of := func(precedence string, deadline time.Time) Situation {
		return Situation{Direction: store.Out, Message: "A", Stage: config.StageReceipt, Precedence: precedence, Deadline: deadline}
	}
	taken := func(step string, n int32, last time.Time) store.Escalation {
		return store.Escalation{Direction: store.Out, Message: "A", Stage: "Receipt", Step: step, Taken: n, FirstAt: minute(-90), LastAt: last}
	}
	type took struct {
		Step  string
		Taken int32
	}
	for name, tt := range map[string]struct {
		situations []Situation
		taken      []store.Escalation
		due        []took
		next       time.Time
	}{
		"nothing is silent":                               {},
		"a deadline to come":                              {[]Situation{of("ROUTINE", minute(3))}, nil, nil, minute(3)},
		"a deadline that passes now":                      {[]Situation{of("ROUTINE", noon)}, nil, []took{{"pager", 1}}, time.Time{}},
		"the second step is for later":                    {[]Situation{of("FLASH", minute(-1))}, nil, []took{{"pager", 1}}, minute(29)},
		"both at once after we were away":                 {[]Situation{of("FLASH", minute(-1500))}, nil, []took{{"pager", 1}, {"chief", 1}}, time.Time{}},
		"a step is not taken again before its time":       {[]Situation{of("ROUTINE", minute(-5))}, []store.Escalation{taken("pager", 1, minute(-5))}, nil, minute(5)},
		"a step is repeated":                              {[]Situation{of("ROUTINE", minute(-20))}, []store.Escalation{taken("pager", 1, minute(-10))}, []took{{"pager", 2}}, time.Time{}},
		"what was missed often is taken once":             {[]Situation{of("ROUTINE", minute(-1500))}, []store.Escalation{taken("pager", 1, minute(-1490))}, []took{{"pager", 2}}, time.Time{}},
		"no more than so often":                           {[]Situation{of("ROUTINE", minute(-90))}, []store.Escalation{taken("pager", 3, minute(-60))}, nil, time.Time{}},
		"a step without repetition is taken once":         {[]Situation{of("FLASH", minute(-90))}, []store.Escalation{taken("pager", 3, minute(-60)), taken("chief", 1, minute(-50))}, nil, time.Time{}},
		"a step of a clock that was ahead does not rest":  {[]Situation{of("ROUTINE", minute(-5))}, []store.Escalation{taken("pager", 1, minute(1440))}, []took{{"pager", 2}}, time.Time{}},
		"a precedence that we do not know counts as ours": {[]Situation{of("CRITIC", minute(-5))}, nil, []took{{"pager", 1}}, time.Time{}},
		"the most urgent first": {
			[]Situation{of("ROUTINE", minute(-9)), {Direction: store.In, Message: "B", Stage: config.StageInbox, Precedence: "FLASH", Deadline: minute(-1)}},
			nil, []took{{"desk", 1}, {"pager", 1}}, time.Time{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			due, next := Decide(noon, ladder, tt.situations, tt.taken)
			var got []took
			for _, d := range due {
				got = append(got, took{d.Step.Name, d.Taken})
				if first := d.FirstAt; d.Taken == 1 && first != noon || d.Taken > 1 && first != minute(-90) {
					t.Errorf("step %s was first taken at %v", d.Step.Name, first)
				}
			}
			if diff := cmp.Diff(tt.due, got); diff != "" || !next.Equal(tt.next) {
				t.Errorf("next at %v, due (-want +got):\n%s", next, diff)
			}
		})
	}
}

func TestTheClockMayJumpAndNoStepIsTakenOftenerThanItMay(t *testing.T) {
	ladder := []config.Step{{Name: "pager", Stage: config.StageReceipt, Notify: []string{"p"}, RepeatSeconds: 600, MaxRepeats: 5}}
	s := []Situation{{Direction: store.Out, Message: "A", Stage: config.StageReceipt, Precedence: "FLASH", Deadline: noon}}
	var taken []store.Escalation
	now, count := noon, 0
	day := 24 * time.Hour
	for i := range 2000 {
		switch i % 100 {
		case 50:
			now = now.Add(day)
		case 99:
			now = now.Add(-day)
		default:
			now = now.Add(time.Second)
		}
		for _, d := range first(Decide(now, ladder, s, taken)) {
			count++
			taken = []store.Escalation{{Direction: d.Direction, Message: d.Message, Stage: string(d.Stage), Step: d.Step.Name, Taken: d.Taken, FirstAt: d.FirstAt, LastAt: now}}
		}
	}
	if count != 6 {
		t.Errorf("it was taken %d times", count)
	}
}

func first[A, B any](a A, _ B) A { return a }

func TestPausesGrowUpToABound(t *testing.T) {
	none := func(time.Duration) time.Duration { return 0 }
	for failures, want := range map[int32]time.Duration{0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 7: 5 * time.Minute, 1 << 30: 5 * time.Minute} {
		if got := pauseAfter(failures, none); got != want {
			t.Errorf("after %d: %v", failures, got)
		}
	}
}
