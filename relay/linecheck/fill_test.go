// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

func TestAPathThatComesUpWithinASlotIsCheckedInIt(t *testing.T) {
	bubble(t, config.LineChecks{IntervalSeconds: 3600, MissedAfterSeconds: 5400}, func(t *testing.T, w *world) {
		const address = "alfa-2:1"
		sent := func() (n int) {
			w.alfa.mu.Lock()
			defer w.alfa.mu.Unlock()
			for _, act := range w.alfa.acts {
				if act == "LINE_CHECK_SENT bravo.example "+address {
					n++
				}
			}
			return n
		}
		pass(time.Minute)
		w.alfa.hide(address)
		before := sent()
		pass(time.Hour)
		if n := sent() - before; n != 0 {
			t.Fatalf("%d checks went over a path that was not there", n)
		}
		w.alfa.hide("")
		pass(10 * time.Minute)
		if n := sent() - before; n != 1 {
			t.Errorf("%d checks went over the path when it was there, want 1", n)
		}
		pass(time.Hour)
		if n := sent() - before; n != 2 {
			t.Errorf("%d checks went over the path in the next slot, want 2", n)
		}
	})
}

func TestAPeerThatGetsItsHotlineLaterIsCheckedInTheSameSlot(t *testing.T) {
	bubble(t, config.LineChecks{IntervalSeconds: 3600, MissedAfterSeconds: 5400}, func(t *testing.T, w *world) {
		both := w.bravo.config
		alone := *both
		alone.Hotlines = nil
		pass(time.Minute) // no check is under way
		w.end()
		w.alfa.path, w.bravo.path, w.bravo.config = w.alfa.path+".empty", w.bravo.path+".empty", &alone
		w.alfa.build()
		w.bravo.build()
		w.alfa.run()
		w.bravo.run()
		slot := newSchedule(time.Hour, "alfa.example", "bravo.example").slot(time.Now())
		pass(time.Until(slot.Add(time.Hour + 2*time.Minute))) // the next slot has begun
		w.alfa.expect("NotTested/NotDeclared", nil)
		w.bravo.engine.Apply(both)
		pass(20 * time.Minute)
		w.alfa.expect("Answered/Answered", nil)
		w.bravo.expect("Answered/Answered", nil)
	})
}

func TestWhatWasNeverAnsweredIsSentAgainAFewTimes(t *testing.T) {
	const look = 3 * time.Minute
	slot := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	way, other := Way{DialledBy: "alfa.example", Address: "b:1"}, Way{DialledBy: "alfa.example", Address: "b:2"}
	row := func(at Way, number int64, f facts, done time.Time) store.LineCheck {
		content, err := encode(f)
		if err != nil {
			t.Fatal(err)
		}
		return store.LineCheck{Direction: store.Out, Path: at.key(), Number: number, At: slot, DoneAt: done, Content: content}
	}
	refused := facts{LastSlot: slot, Failure: "the peer answered 403 Forbidden: there is no Hotline for alfa.example here"}
	for name, tt := range map[string]struct {
		seen  []store.LineCheck
		after time.Duration
		want  bool // that it is settled
	}{
		"of this slot, answered":          {[]store.LineCheck{row(way, 1, facts{LastSlot: slot}, slot)}, time.Hour, true},
		"of the slot before":              {[]store.LineCheck{row(way, 1, facts{LastSlot: slot.Add(-time.Hour)}, time.Time{})}, 0, false},
		"refused just now":                {[]store.LineCheck{row(way, 1, refused, time.Time{})}, look - 1, true},
		"refused a look ago":              {[]store.LineCheck{row(way, 1, refused, time.Time{})}, look, false},
		"refused for the seventh time":    {[]store.LineCheck{row(way, 7, refused, time.Time{})}, 7*look - 1, true},
		"refused, of a very large number": {[]store.LineCheck{row(way, 1<<62, refused, time.Time{})}, 24 * time.Hour, true},
		"under way":                       {[]store.LineCheck{row(way, 1, facts{LastSlot: slot}, time.Time{})}, time.Hour, true},
		"refused, but another path was answered": {[]store.LineCheck{
			row(way, 1, refused, time.Time{}), row(other, 1, facts{LastSlot: slot.Add(-9 * time.Hour)}, slot.Add(-9*time.Hour)),
		}, time.Hour, true},
	} {
		if got := settled(tt.seen, slot, slot.Add(tt.after), look)[way]; got != tt.want {
			t.Errorf("%s: settled is %v", name, got)
		}
	}
}
