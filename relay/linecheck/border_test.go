// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

var sixHourly = config.LineChecks{IntervalSeconds: 6 * 3600, MissedAfterSeconds: 8 * 3600}

// firstOfNext is when this month is over.
func firstOfNext() time.Time {
	now := time.Now().UTC()
	return time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

// sendLate has a nation send the check of a slot now.
func (n *nation) sendLate(t *testing.T, slot time.Time) outcome {
	t.Helper()
	at := link.Path{TrustDomain: n.other.TrustDomain(), Address: n.other.name + "-1:1"}
	return n.engine.line(at.TrustDomain).check(t.Context(), newSchedule(6*time.Hour, n.TrustDomain(), at.TrustDomain), at, Check{
		Version: Version, From: n.TrustDomain(), To: at.TrustDomain, Path: way(n.TrustDomain(), at), Slot: slot,
		RSIT: message.TestCode, TextID: "fox", Text: "fox", IntervalSeconds: 6 * 3600,
	})
}

// countedFrom tells of the checks of a path, by number, which a nation counts from some time on.
func (n *nation) countedFrom(t *testing.T, d store.Direction, path Way, from time.Time) map[int64]bool {
	t.Helper()
	counted := map[int64]bool{}
	if err := n.engine.line(n.other.TrustDomain()).each(t.Context(), time.Unix(0, 0), time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), func(c store.LineCheck) {
		if c.Direction == d && c.Path == path.key() {
			counted[c.Number] = !c.Slot.Before(from)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return counted
}

func (w *world) expectAgreed(t *testing.T, month string) {
	t.Helper()
	for _, n := range []*nation{w.alfa, w.bravo} {
		a, err := n.engine.Availability(t.Context(), "to-"+n.other.name, month)
		if err != nil {
			t.Fatal(err)
		}
		if a.State != desk.AvailabilityAgreed {
			t.Errorf("the record at %s is %s: %q %q", n.name, a.State, a.Ours.Differences, a.Theirs.Differences)
		}
	}
}

// A check that is late by about as much as counts for its slot, and whose slot is in the month before,
// counts in one month, whatever the clocks and the way between the two sides add to it.
func TestBothSidesCountALateCheckInTheSameMonth(t *testing.T) {
	for name, ahead := range map[string]time.Duration{
		"with_clocks_that_agree": 0, "with_a_receiver_that_is_ahead": 20 * time.Second, "with_a_receiver_that_is_behind": -20 * time.Second,
		"with_a_receiver_that_is_a_little_ahead": time.Millisecond, "with_a_receiver_that_is_a_little_behind": -time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is no secret
			atTheEndOfAMonth(t, func(t *testing.T, w *world) {
				over, month := firstOfNext(), time.Now().UTC().Format("2006-01")
				w.bravo.setClock(ahead)
				type late struct{ slot, sent time.Time }
				exactly := over.Add(slotTolerance - time.Minute)
				all := []late{{exactly.Add(-slotTolerance), exactly}, {exactly.Add(-slotTolerance - time.Microsecond), exactly}, {exactly.Add(time.Microsecond - slotTolerance), exactly}}
				for range 40 {
					slot := over.Add(-time.Duration(1 + draw.Int64N(int64(time.Minute)))).Truncate(time.Microsecond)
					all = append(all, late{slot, slot.Add(slotTolerance + time.Duration(draw.Int64N(int64(50*time.Second))) - 25*time.Second).Truncate(time.Microsecond)})
				}
				slices.SortStableFunc(all, func(a, b late) int { return cmp.Compare(a.sent.UnixMicro(), b.sent.UnixMicro()) })
				var numbers []int64
				for _, c := range all {
					pass(time.Until(c.sent))
					o := w.alfa.sendLate(t, c.slot)
					if o.Failure != "" {
						t.Fatalf("seed %d: %s", seed, o.Failure)
					}
					numbers = append(numbers, o.sent.Number)
				}
				pass(time.Until(over.Add(slotTolerance + 2*time.Hour)))
				path := Way{DialledBy: "alfa.example", Address: "bravo-1:1"}
				sent, received := w.alfa.countedFrom(t, store.Out, path, over), w.bravo.countedFrom(t, store.In, path, over)
				months := map[bool]int{}
				for _, number := range numbers {
					next, kept := sent[number]
					got, came := received[number]
					if !kept || !came || got != next {
						t.Errorf("seed %d: check %d counts after the month %t where it was sent (%t), %t where it came (%t)", seed, number, next, kept, got, came)
					}
					months[next]++
				}
				if months[true] < 3 || months[false] < 3 {
					t.Errorf("seed %d: the checks count as %v: this tests too little", seed, months)
				}
				w.expectAgreed(t, month)
			})
		})
	}
}

// The clock of the receiver is ahead by an hour: its record is made while the sender may still send for the month.
func TestACheckThatComesAfterTheRecordOfItsMonthIsMadeIsRefusedAndNoDifference(t *testing.T) {
	atTheEndOfAMonth(t, func(t *testing.T, w *world) {
		over, month := firstOfNext(), time.Now().UTC().Format("2006-01")
		w.bravo.setClock(time.Hour)
		pass(time.Until(over.Add(2*time.Hour + 30*time.Minute)))
		if o := w.alfa.sendLate(t, over.Add(-10*time.Minute)); !strings.Contains(o.Failure, "compare the clocks") {
			t.Errorf("the sender is told %q", o.Failure)
		}
		if o := w.alfa.sendLate(t, over.Add(10*time.Minute)); o.Failure != "" {
			t.Errorf("a check of this month: %s", o.Failure)
		}
		pass(time.Until(over.Add(slotTolerance + 3*time.Hour)))
		w.expectAgreed(t, month)
	})
}

// The answer to a check was lost, and the check is repeated when nothing new of its month is taken any more: it counts at the
// receiver, and must not be missed at the sender.
func TestACheckThatWasTakenInTimeIsAnsweredAgainAfterTheRecordOfItsMonthIsMade(t *testing.T) {
	atTheEndOfAMonth(t, func(t *testing.T, w *world) {
		over := firstOfNext()
		pass(time.Until(over.Add(2*time.Hour + 50*time.Minute)))
		o := w.alfa.sendLate(t, over.Add(-5*time.Minute))
		if o.Failure != "" {
			t.Fatal(o.Failure)
		}
		var sent store.LineCheck
		if err := w.alfa.store.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) (err error) {
			sent, err = tx.LineCheck(store.Out, o.sent.Path.key(), o.sent.Number)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		pass(time.Until(lastTakenAt(over).Add(time.Second)))
		client := w.alfa.engine.cfg.Client(w.alfa.engine.cfg.Paths("bravo.example")[0])
		answer, err := post(t.Context(), client, "bravo.example", Path, sent.Statement)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(decodePart(t, answer), `"verdict":"Again"`) {
			t.Errorf("answered %s", decodePart(t, answer))
		}
	})
}
