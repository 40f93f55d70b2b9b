// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// A slot that is running is sent late rather than not at all, also when its month is over.
func TestARecordWaitsForTheChecksThatMayStillComeOfItsMonth(t *testing.T) {
	atTheEndOfAMonth(t, func(t *testing.T, w *world) {
		start := time.Now().UTC()
		over := time.Date(start.Year(), start.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		month := start.Format("2006-01")
		pass(time.Until(over.Add(-7 * time.Hour)))
		w.alfa.kill() // it misses the last slot of the month, or most of it
		pass(time.Until(over.Add(5 * time.Minute)))
		w.alfa.begin()
		pass(10 * time.Minute) // what it sends now, at the latest, has a slot before the month's end
		if _, err := w.bravo.engine.Availability(t.Context(), "to-alfa", month); !isNotFound(err) {
			t.Errorf("bravo has signed while checks of the month may come: %v", err)
		}
		_, err := w.bravo.engine.ExchangeAvailability(t.Context(), "to-alfa", month)
		if err == nil || !strings.Contains(err.Error(), over.Add(slotTolerance+finalAfter).Format(time.RFC3339)) {
			t.Errorf("a person who asks for the record now is told %v", err)
		}
		pass(time.Until(over.Add(slotTolerance + 2*time.Hour)))
		w.expectAgreed(t, month)
	})
}

func TestARecordThatThePeerSignsTooEarlyIsNotAnswered(t *testing.T) {
	atTheEndOfAMonth(t, func(t *testing.T, w *world) {
		start := time.Now().UTC()
		over := time.Date(start.Year(), start.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		pass(time.Until(over.Add(time.Hour)))
		w.alfa.setClock(slotTolerance) // by its clock all checks have come
		month := start.Format("2006-01")
		a, err := w.alfa.engine.ExchangeAvailability(t.Context(), "to-bravo", month)
		if err != nil || !strings.Contains(a.Error, "not over here") || a.State != desk.AvailabilityUnsigned {
			t.Errorf("the record is %s (%s), %v", a.State, a.Error, err)
		}
		if _, err := w.bravo.engine.Availability(t.Context(), "to-alfa", month); !isNotFound(err) {
			t.Errorf("bravo has signed: %v", err)
		}
	})
}

// Both sides keep a check that is very late under the time at which it was sent.
func TestACheckThatIsVeryLateCountsWhenItWasSent(t *testing.T) {
	bubble(t, quick, func(t *testing.T, w *world) {
		pass(time.Minute)
		now := time.Now().UTC()
		l := w.alfa.engine.line("bravo.example")
		at := link.Path{TrustDomain: "bravo.example", Address: "bravo-1:1"}
		o := l.check(t.Context(), newSchedule(24*time.Hour, "alfa.example", "bravo.example"), at, Check{
			Version: Version, From: "alfa.example", To: "bravo.example", Path: way("alfa.example", at), Slot: now.Add(-20 * time.Hour),
			RSIT: message.TestCode, TextID: "fox", Text: "fox", IntervalSeconds: 86_400,
		})
		if o.Failure != "" {
			t.Fatal(o.Failure)
		}
		for _, n := range []*nation{w.alfa, w.bravo} {
			early := 0
			if err := n.engine.line(n.other.TrustDomain()).each(t.Context(), time.Unix(0, 0), now.Add(-slotTolerance), func(store.LineCheck) { early++ }); err != nil {
				t.Fatal(err)
			}
			if early > 0 {
				t.Errorf("%s keeps it under its slot", n.name)
			}
		}
	})
}

// The line is cut as the month ends: bravo has stored a message, and its receipt comes days later.
func TestAMessageWhoseReceiptComesLateIsNoDifference(t *testing.T) {
	atTheEndOfAMonth(t, func(t *testing.T, w *world) {
		start := time.Now().UTC()
		over := time.Date(start.Year(), start.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		pass(time.Until(over.Add(-time.Hour)))
		stored := time.Now()
		m, err := w.alfa.store.Enqueue(t.Context(), "bravo.example", func(int64) (store.Message, error) {
			return store.Message{ID: "01J000000000000000000000AX", Conversation: "c", Kind: "NOTIFICATION", Precedence: "ROUTINE", Payload: []byte("x"), CreatedAt: stored}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		in := m
		in.Direction, in.Peer, in.Signed, in.Receipt, in.StoredAt, in.ReceiptAt = store.In, "alfa.example", []byte("s"), []byte("r"), stored, stored
		if _, _, err := w.bravo.store.Accept(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"1:1", "2:1"} {
			w.cutPath(Way{DialledBy: "alfa.example", Address: "bravo-" + n}, true)
			w.cutPath(Way{DialledBy: "bravo.example", Address: "alfa-" + n}, true)
		}
		pass(time.Until(over.Add(24 * time.Hour)))
		if err := w.alfa.store.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) error {
			return tx.PutReceipts(store.Receipt{ID: m.ID, Body: []byte("r"), At: stored})
		}); err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"1:1", "2:1"} {
			w.cutPath(Way{DialledBy: "alfa.example", Address: "bravo-" + n}, false)
			w.cutPath(Way{DialledBy: "bravo.example", Address: "alfa-" + n}, false)
		}
		pass(2 * time.Hour)
		for _, n := range []*nation{w.alfa, w.bravo} {
			a, err := n.engine.Availability(t.Context(), "to-"+n.other.name, start.Format("2006-01"))
			if err != nil {
				t.Fatal(err)
			}
			if a.State != desk.AvailabilityAgreed {
				t.Errorf("the record at %s is %s: %q %q", n.name, a.State, a.Ours.Differences, a.Theirs.Differences)
			}
		}
	})
}
