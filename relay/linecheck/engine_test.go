// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

var quick = config.LineChecks{IntervalSeconds: 60, MissedAfterSeconds: 90}

func TestEveryPathIsCheckedInBothDirections(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(2 * time.Minute)
		w.alfa.expect("Answered/Answered", nil)
		w.bravo.expect("Answered/Answered", nil)
		w.alfa.mu.Lock()
		defer w.alfa.mu.Unlock()
		sent, received := 0, 0
		for _, a := range w.alfa.acts {
			sent += strings.Count(a, "LINE_CHECK_SENT")
			received += strings.Count(a, "LINE_CHECK_RECEIVED")
		}
		if sent < 8 || received < 8 {
			t.Errorf("the journal has %d sent and %d received checks", sent, received)
		}
	})
}

func TestAPathThatIsCutIsNamedWithinTheDeclaredTime(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(2 * time.Minute)
		cut := Way{DialledBy: "alfa.example", Address: "bravo-2:1"}
		w.cutPath(cut, true)
		pass(90 * time.Second)
		missed := map[string]string{"bravo-2:1": "Missed/Missed"}
		w.alfa.expect("Answered/Answered", missed)
		w.bravo.expect("Answered/Answered", missed)
		w.cutPath(cut, false)
		pass(time.Minute)
		w.alfa.expect("Answered/Answered", nil)
		w.bravo.expect("Answered/Answered", nil)
	})
}

func TestAPeerThatIsSilentIsNamedAndWhatWeDidNotTestIsNot(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(2 * time.Minute)
		w.bravo.kill()
		pass(95 * time.Second)
		w.alfa.expect("Missed/Missed", nil)
		pass(10 * time.Minute)
		w.bravo.begin()
		for address, state := range w.bravo.states() { // it checks at once, or is about to
			if strings.Contains(state, Missed) {
				t.Errorf("%s is %s right after the start", address, state)
			}
		}
		pass(61 * time.Second)
		w.alfa.expect("Answered/Answered", nil)
		w.bravo.expect("Answered/Answered", nil)
		r, err := w.bravo.engine.line("alfa.example").view(context.Background(), time.Now().UTC().Format("2006-01"), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Paths {
			if p.From == "bravo.example" && (p.NotTested < 9 || p.Missed > 0) {
				t.Errorf("ten minutes of our own is told as %+v", p)
			}
			if p.From == "alfa.example" && p.Missed < 9 {
				t.Errorf("checks of the peer that did not arrive are told as %+v", p)
			}
		}
	})
}

func TestAClockThatIsSetByADayIsNoFaultOfTheLine(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"forward": 24 * time.Hour, "back": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, quick, func(t *testing.T, w *world) {
				pass(2 * time.Minute)
				for _, to := range []time.Duration{ahead, 0} {
					w.alfa.setClock(to)
					w.alfa.engine.Wake("bravo.example")
					pass(time.Second)
					for address, state := range w.alfa.states() {
						if strings.Contains(state, Missed) {
							t.Errorf("%s is %s right after the clock was set", address, state)
						}
					}
					pass(61 * time.Second)
					w.alfa.expect("Answered/Answered", nil)
					w.bravo.expect("Answered/Answered", nil)
				}
			})
		})
	}
}

func TestADatabaseThatWasSetBackGoesOnAboveThePeersNumbers(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(3 * time.Minute)
		w.alfa.kill()
		w.alfa.path += ".empty"
		w.alfa.begin()
		pass(61 * time.Second)
		w.alfa.expect("Answered/Answered", nil)
		w.bravo.expect("Answered/Answered", nil)
	})
}

func TestAnAnswerThatIsNoReceiptIsNoProof(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.spoil = func(b []byte) []byte { return append([]byte("x"), b...) }
		w.mu.Unlock()
		pass(3 * time.Minute)
		w.alfa.expect("Missed/Answered", nil)
	})
}

func TestARepeatedCheckGetsTheSameAnswerAndCountsOnce(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(30 * time.Second)
		rows, err := w.alfa.store.LatestLineChecks(t.Context(), "bravo.example")
		if err != nil || len(rows) == 0 {
			t.Fatal(err)
		}
		var sent store.LineCheck
		if err := w.alfa.store.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) (err error) {
			sent, err = tx.LastLineCheck(store.Out, "alfa.example bravo-1:1")
			return err
		}); err != nil {
			t.Fatal(err)
		}
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

func TestAPersonCanCheckNow(t *testing.T) {
	bubble(t, config.LineChecks{}, func(t *testing.T, w *world) {
		pass(time.Second)
		w.cutPath(Way{DialledBy: "alfa.example", Address: "bravo-2:1"}, true)
		run, err := w.alfa.engine.CheckLine(t.Context(), "to-bravo")
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]int{}
		for _, c := range run.Checks {
			states[c.Direction+c.State]++
			if c.State == Answered && (c.SignedBy != "spiffe://bravo.example/signing" || c.TheirTime.IsZero()) {
				t.Errorf("check %+v", c)
			}
		}
		if states["sentAnswered"] != 3 || states["sentMissed"] != 1 || len(run.Checks) != 8 {
			t.Errorf("checks are %v", states)
		}
		if _, err := w.alfa.engine.CheckLine(t.Context(), "to-charlie"); !isNotFound(err) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestBothSidesCountersignTheRecordOfAMonthThatIsOver(t *testing.T) {
	bubble(t, sixHourly, func(t *testing.T, w *world) {
		start := time.Now().UTC()
		pass(20 * time.Hour)
		w.cutPath(Way{DialledBy: "alfa.example", Address: "bravo-2:1"}, true)
		pass(20 * time.Hour)
		w.cutPath(Way{DialledBy: "alfa.example", Address: "bravo-2:1"}, false)
		w.bravo.kill() // it is down as the month ends
		next := time.Date(start.Year(), start.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		pass(time.Until(next.Add(12 * time.Hour)))
		month := start.Format("2006-01")
		if a, err := w.alfa.engine.Availability(t.Context(), "to-bravo", month); err != nil || a.State != desk.AvailabilityUnsigned {
			t.Fatalf("the record that the peer has not seen is %v, %v", a.State, err)
		}
		w.bravo.begin()
		pass(2 * time.Hour)
		for _, n := range []*nation{w.alfa, w.bravo} {
			a, err := n.engine.Availability(t.Context(), "to-"+n.other.name, month)
			if err != nil {
				t.Fatal(err)
			}
			if a.Ours == nil || a.Theirs == nil || !a.Ours.CounterVerified || !a.Theirs.CounterVerified || a.State == desk.AvailabilityUnsigned {
				t.Fatalf("%s: the record is %s: %+v %+v", n.name, a.State, a.Ours, a.Theirs)
			}
			var r Record
			if err := json.Unmarshal(a.Ours.Record, &r); err != nil || r.By != n.TrustDomain() || len(r.Paths) != 8 {
				t.Errorf("%s signed %s, %v", n.name, a.Ours.Record, err)
			}
		}
		again, err := w.alfa.engine.ExchangeAvailability(t.Context(), "to-bravo", month)
		if err != nil || again.Error != "" {
			t.Errorf("a second exchange: %v %s", err, again.Error)
		}
	})
}

func TestARunningMonthIsCountersignedOnDemandAndAgreed(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(4 * time.Minute)
		month := time.Now().UTC().Format("2006-01")
		for range 2 {
			pass(time.Minute)
			a, err := w.alfa.engine.ExchangeAvailability(t.Context(), "to-bravo", month)
			if err != nil || a.Error != "" {
				t.Fatal(err, a.Error)
			}
			if a.State != desk.AvailabilityRunning || !a.Ours.Agreed || !a.Theirs.Agreed {
				t.Errorf("the record is %s: %q %q", a.State, a.Ours.Differences, a.Theirs.Differences)
			}
		}
		if _, err := w.alfa.engine.ExchangeAvailability(t.Context(), "to-bravo", "2026-13"); err == nil {
			t.Error("a month 13 is taken")
		}
	})
}

func TestOldChecksAreSummedUpAndTheRecordStaysTheSame(t *testing.T) {
	bubble(t, sixHourly, func(t *testing.T, w *world) {
		pass(25 * time.Hour)
		until := time.Now().UTC().Truncate(24 * time.Hour)
		month := until.Add(-time.Second).Format("2006-01")
		l := w.alfa.engine.line("bravo.example")
		before, err := l.view(t.Context(), month, until)
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Until(until.Add(detail + time.Hour)))
		for range 2 { // twice: what is left of a day is not counted again
			if err := l.sumUpDays(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		days, err := l.sums(t.Context(), 0, day(until))
		if err != nil || len(days) == 0 {
			t.Errorf("%d days are summed up, %v", len(days), err)
		}
		left := map[Way]int{}
		if err := l.each(t.Context(), time.Unix(0, 0), until, func(c store.LineCheck) { left[wayOf(c.Path)]++ }); err != nil {
			t.Fatal(err)
		}
		for way, n := range left {
			if n > 4 { // the newest two of each direction at most
				t.Errorf("%d checks of %v are left", n, way)
			}
		}
		after, err := l.view(t.Context(), month, until)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		if string(a) != string(b) || len(before.Paths) != 8 {
			t.Errorf("the record was\n%s\nand is\n%s", a, b)
		}
	})
}

// A peer may say of any year that it is when its check was due.
func TestSlotsOfAPeerThatLiesAreKeptUnderOurOwnTime(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(time.Minute)
		client, number := w.alfa.engine.cfg.Client(w.alfa.engine.cfg.Paths("bravo.example")[0]), int64(100)
		send := func(slot time.Time, address string) error {
			number++
			c := Check{
				Version: Version, From: "alfa.example", To: "bravo.example", Path: Way{DialledBy: "alfa.example", Address: address}, Number: number,
				Slot: slot, SentAt: time.Now().UTC(), RSIT: "test:test", TextID: "fox", Text: "fox", IntervalSeconds: 60,
			}
			payload, err := encode(c)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := receipt.Sign(w.alfa, TypeCheck, payload)
			if err != nil {
				t.Fatal(err)
			}
			_, err = post(t.Context(), client, "bravo.example", Path, signed)
			return err
		}
		for _, year := range []int{2001, 9998} {
			if err := send(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), "bravo-1:1"); err != nil {
				t.Fatal(err)
			}
		}
		l, far := w.bravo.engine.line("alfa.example"), 0
		for _, r := range [][2]time.Time{{time.Unix(0, 0), time.Now().Add(-slotTolerance)}, {time.Now().Add(slotTolerance), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}} {
			if err := l.each(t.Context(), r[0], r[1], func(store.LineCheck) { far++ }); err != nil {
				t.Fatal(err)
			}
		}
		if far > 0 {
			t.Errorf("%d checks are kept under slots that never come", far)
		}
		for _, address := range []string{"a\u202eb:1", "bravo 1:1", "b\u00adc:1"} {
			if err := send(time.Now(), address); err == nil || !strings.Contains(err.Error(), "422") {
				t.Errorf("the address %q is answered with %v", address, err)
			}
		}
		// Thousands of paths: a peer has few, and each is a label of our metrics.
		refused, limited := 0, 0
		for i := range 200 {
			if err := send(time.Now(), fmt.Sprintf("bravo-%d:9", i)); err != nil && strings.Contains(err.Error(), "429") {
				limited++
			} else if err != nil {
				refused++
			}
		}
		if refused == 0 || limited == 0 {
			t.Errorf("%d paths are refused, %d for their rate", refused, limited)
		}
	})
}
