// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

func TestCount(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sent := func(ago time.Duration, precedence string) store.Message {
		return store.Message{StoredAt: now.Add(-ago), Precedence: precedence, Kind: "INQUIRY"}
	}
	ack := sent(time.Hour, "FLASH")
	ack.Kind = KindACK
	deadlines := []config.Deadline{{Precedence: "FLASH", ReceiptSeconds: 10}}
	for name, tt := range map[string]struct {
		noReceipt, noAck []store.Message
		want             overdue
	}{
		"nothing": {nil, nil, overdue{}},
		"receipt due at a configured time": {
			[]store.Message{sent(9*time.Second, "FLASH")}, nil, overdue{next: now.Add(time.Second)},
		},
		"receipt overdue to the second, acknowledgement due at the default": {
			[]store.Message{sent(10*time.Second, "FLASH")}, nil, overdue{receipts: 1, next: now.Add(290 * time.Second)},
		},
		"both overdue":                        {[]store.Message{sent(time.Hour, "FLASH")}, nil, overdue{receipts: 1, acknowledgements: 1}},
		"acknowledgement overdue":             {nil, []store.Message{sent(time.Hour, "PRIORITY"), sent(time.Hour, "ROUTINE")}, overdue{acknowledgements: 1, next: now.Add(23 * time.Hour)}},
		"nobody acknowledges an ACK":          {[]store.Message{ack}, nil, overdue{receipts: 1}},
		"the sooner of two counts":            {[]store.Message{sent(0, "ROUTINE"), sent(0, "IMMEDIATE")}, nil, overdue{next: now.Add(time.Minute)}},
		"defaults for what is not configured": {[]store.Message{sent(0, "PRIORITY")}, nil, overdue{next: now.Add(5 * time.Minute)}},
	} {
		got := count(now, deadlines, tt.noReceipt, tt.noAck)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(overdue{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
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
		<-time.After(30 * 24 * time.Hour)
		if got := w.alfa.changes.Load() + w.bravo.changes.Load() - before; got != 0 {
			t.Errorf("%d changes in a quiet month", got)
		}
	})
}
