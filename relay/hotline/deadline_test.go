// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

func TestCount(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sent := func(ago time.Duration, precedence string) store.Message {
		return store.Message{StoredAt: now.Add(-ago), Precedence: precedence, Kind: "INQUIRY"}
	}
	of := func(kind string, m store.Message) store.Message { m.Kind = kind; return m }
	asks := func(m store.Message, by time.Time) []store.Awaiting {
		return []store.Awaiting{{Message: m, AnswerBy: by}}
	}
	none := map[config.Stage]int64{}
	deadlines := []config.Deadline{{Precedence: "FLASH", ReceiptSeconds: 10, AnswerSeconds: 20}}
	for name, tt := range map[string]struct {
		waits waits
		at    map[config.Stage]int64
		next  time.Time
	}{
		"nothing":                          {waits{}, none, time.Time{}},
		"receipt due at a configured time": {waits{noReceipt: []store.Message{sent(9*time.Second, "FLASH")}}, none, now.Add(time.Second)},
		"receipt overdue to the second, acknowledgement due at the default": {
			waits{noReceipt: []store.Message{sent(10*time.Second, "FLASH")}}, map[config.Stage]int64{"Receipt": 1}, now.Add(290 * time.Second),
		},
		"both overdue": {waits{noReceipt: []store.Message{sent(time.Hour, "FLASH")}}, map[config.Stage]int64{"Receipt": 1, "Acknowledgement": 1}, time.Time{}},
		"acknowledgement overdue": {
			waits{noAck: []store.Message{sent(time.Hour, "PRIORITY"), sent(time.Hour, "ROUTINE")}}, map[config.Stage]int64{"Acknowledgement": 1}, now.Add(23 * time.Hour),
		},
		"nobody acknowledges an ACK":          {waits{noReceipt: []store.Message{of("ACK", sent(time.Hour, "FLASH"))}}, map[config.Stage]int64{"Receipt": 1}, time.Time{}},
		"nobody acknowledges a line check":    {waits{noAck: []store.Message{of("LINE_CHECK", sent(time.Hour, "FLASH"))}, unread: []store.Message{of("LINE_CHECK", sent(time.Hour, "FLASH"))}}, none, time.Time{}},
		"the sooner of two counts":            {waits{noReceipt: []store.Message{sent(0, "ROUTINE"), sent(0, "IMMEDIATE")}}, none, now.Add(time.Minute)},
		"defaults for what is not configured": {waits{noReceipt: []store.Message{sent(0, "PRIORITY")}}, none, now.Add(5 * time.Minute)},
		"our own desk does not read":          {waits{unread: []store.Message{sent(time.Hour, "FLASH")}}, map[config.Stage]int64{"Inbox": 1}, time.Time{}},
		"an unknown precedence is ROUTINE":    {waits{unread: []store.Message{sent(0, "CRITIC")}}, none, now.Add(24 * time.Hour)},
		"no answer in time":                   {waits{unanswered: asks(sent(20*time.Second, "FLASH"), time.Time{})}, map[config.Stage]int64{"Answer": 1}, time.Time{}},
		"an answer is asked for later":        {waits{unanswered: asks(sent(time.Hour, "FLASH"), now.Add(time.Hour))}, none, now.Add(time.Hour)},
		"an answer is asked for sooner":       {waits{unanswered: asks(sent(time.Second, "ROUTINE"), now)}, map[config.Stage]int64{"Answer": 1}, time.Time{}},
	} {
		stored := func(m store.Message) time.Time { return m.StoredAt }
		got := count(now, tt.waits.situations(deadlines, stored))
		if diff := cmp.Diff(overdue{at: tt.at, next: tt.next}, got, cmp.AllowUnexported(overdue{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestADeadlineDoesNotWaitForAClockThatWasSetBack(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		start := time.Now()
		m := store.Message{Direction: store.Out, ID: firstID, StoredAt: start.Round(0)}
		w := &waits{noAck: []store.Message{m}}
		var s sightings
		if got := s.since(start, w)(m); !got.Equal(start) {
			t.Errorf("it waits since %v", got)
		}
		<-time.After(5 * time.Minute)
		// The wall clock is a day behind from now on; the monotonic one went on.
		now := time.Now()
		behind := w.noAck[0]
		behind.StoredAt = behind.StoredAt.Add(24 * time.Hour) // as seen from there
		if got := now.Sub(s.since(now, w)(behind)); got != 5*time.Minute {
			t.Errorf("it waits for %v", got)
		}
	})
}

func TestDeadlines(t *testing.T) {
	bubble(t, "tells_when_a_receipt_and_an_acknowledgement_are_overdue", func(t *testing.T, w *world) {
		w.faults(cut)
		r := request(firstID, "s")
		r.Precedence = "FLASH"
		w.alfa.send(r)
		<-time.After(29 * time.Second)
		before := w.alfa.changes.Load()
		if got := w.alfa.report(); got.OverdueReceipts != 0 {
			t.Errorf("after 29 s: %+v", got)
		}
		<-time.After(2 * time.Second)
		if got := w.alfa.report(); got.OverdueReceipts != 1 || w.alfa.changes.Load() == before {
			t.Errorf("after 31 s: %+v, changes %d", got, w.alfa.changes.Load()-before)
		}
		w.faults(nil)
		<-time.After(time.Minute)
		if got := w.alfa.report(); got.OverdueReceipts != 0 || got.OverdueAcknowledgements != 0 || got.LastReceipt.IsZero() {
			t.Errorf("after the receipt: %+v", got)
		}
		before = w.alfa.changes.Load()
		<-time.After(5 * time.Minute)
		if got := w.alfa.report(); got.OverdueAcknowledgements != 1 || w.alfa.changes.Load() == before {
			t.Errorf("after 5 minutes: %+v", got)
		}
		w.bravo.acknowledge(firstID)
		<-time.After(time.Minute)
		if got := w.alfa.report(); got.OverdueAcknowledgements != 0 {
			t.Errorf("after the acknowledgement: %+v", got)
		}
	})
	bubble(t, "is_still_when_nothing_happens", func(t *testing.T, w *world) {
		w.alfa.send(request(firstID, "s"))
		w.quiet()
		w.bravo.acknowledge(firstID)
		w.quiet()
		before := w.alfa.changes.Load() + w.bravo.changes.Load()
		<-time.After(8 * 24 * time.Hour) // what is looked at daily is looked at eight times
		if got := w.alfa.changes.Load() + w.bravo.changes.Load() - before; got != 0 {
			t.Errorf("%d changes in a quiet week", got)
		}
	})
}
