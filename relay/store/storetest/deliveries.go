// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var deliveryTests = map[string]func(t *testing.T, e env){
	"a_delivery_begins_at_nothing":                      deliveryBegins,
	"keeps_position_counts_and_dead_letters":            deliveryAdvances,
	"refuses_a_step_from_elsewhere_and_stores_nothing":  deliveryConflicts,
	"queues_and_settles_dead_letters":                   deliveryRepeats,
	"keeps_deliveries_apart":                            deliveriesApart,
	"lists_dead_letters_in_parts":                       deadInParts,
	"counts_what_waits_up_to_a_bound":                   countsWaiting,
	"cuts_a_reason_that_is_too_long":                    cutsReasons,
	"refuses_a_list_of_dead_letters_without_a_limit":    deadLimits,
	"leaves_alone_what_is_no_dead_letter_when_settling": settlesStrangers,
}

func dead(seq int64) store.DeadLetter {
	return store.DeadLetter{Seq: seq, ID: object(int(seq)).ID, Version: epoch, Reason: "422", At: epoch.Add(time.Second)}
}

func mustAdvance(t *testing.T, s store.Store, name string, step store.Advance) {
	t.Helper()
	if err := s.AdvanceDelivery(t.Context(), "c", name, step); err != nil {
		t.Fatalf("AdvanceDelivery: %v", err)
	}
}

func mustDelivery(t *testing.T, s store.Store, name string) store.Delivery {
	t.Helper()
	d, err := s.Delivery(t.Context(), "c", name)
	if err != nil {
		t.Fatalf("Delivery: %v", err)
	}
	return d
}

func mustDead(t *testing.T, s store.Store, after int64, queued bool, limit int) []store.DeadLetter {
	t.Helper()
	list, err := s.DeadLetters(t.Context(), "c", "siem", after, queued, limit)
	if err != nil {
		t.Fatalf("DeadLetters: %v", err)
	}
	return list
}

func deliveryBegins(t *testing.T, e env) {
	same(t, "state", mustDelivery(t, e, "siem"), store.Delivery{})
	same(t, "dead letters", len(mustDead(t, e, 0, false, 10)), 0)
}

func deliveryAdvances(t *testing.T, e env) {
	mustAdvance(t, e, "siem", store.Advance{To: 10, Delivered: 8, Dead: []store.DeadLetter{dead(3), dead(7)}})
	mustAdvance(t, e, "siem", store.Advance{From: 10, To: 20, Delivered: 10})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	same(t, "state", mustDelivery(t, s, "siem"), store.Delivery{Position: 20, Delivered: 18, Dead: 2})
	same(t, "dead letters", mustDead(t, s, 0, false, 10), []store.DeadLetter{dead(3), dead(7)})
}

func deliveryConflicts(t *testing.T, e env) {
	mustAdvance(t, e, "siem", store.Advance{To: 10, Delivered: 1})
	wantErr(t, e.AdvanceDelivery(t.Context(), "c", "siem", store.Advance{From: 9, To: 20, Dead: []store.DeadLetter{dead(1)}}), store.ErrConflict)
	wantErr(t, e.AdvanceDelivery(t.Context(), "c", "other", store.Advance{From: 9, To: 20}), store.ErrConflict)
	same(t, "state", mustDelivery(t, e, "siem"), store.Delivery{Position: 10, Delivered: 1})
	same(t, "dead letters", len(mustDead(t, e, 0, false, 10)), 0)
}

func deliveryRepeats(t *testing.T, e env) {
	mustAdvance(t, e, "siem", store.Advance{To: 10, Dead: []store.DeadLetter{dead(1), dead(2), dead(3)}})
	same(t, "queued at first", len(mustDead(t, e, 0, true, 10)), 0)
	n, err := e.QueueDeadLetters(t.Context(), "c", "siem")
	if err != nil || n != 3 {
		t.Fatalf("QueueDeadLetters: %d, %v", n, err)
	}
	same(t, "state when queued", mustDelivery(t, e, "siem"), store.Delivery{Position: 10, Dead: 3, Queued: 3})
	again := dead(2)
	again.Reason, again.At = "still 422", epoch.Add(time.Hour)
	if err := e.SettleDeadLetters(t.Context(), "c", "siem", []int64{1}, []store.DeadLetter{again}); err != nil {
		t.Fatal(err)
	}
	left := dead(3)
	left.Queued = true
	same(t, "letters", mustDead(t, e, 0, false, 10), []store.DeadLetter{again, left})
	same(t, "queued letters", mustDead(t, e, 0, true, 10), []store.DeadLetter{left})
	same(t, "state", mustDelivery(t, e, "siem"), store.Delivery{Position: 10, Delivered: 1, Dead: 2, Queued: 1})
}

func deliveriesApart(t *testing.T, e env) {
	mustAdvance(t, e, "siem", store.Advance{To: 10, Delivered: 1, Dead: []store.DeadLetter{dead(1)}})
	mustAdvance(t, e, "misp", store.Advance{To: 5, Delivered: 2})
	if err := e.AdvanceDelivery(t.Context(), "d", "siem", store.Advance{To: 7}); err != nil {
		t.Fatal(err)
	}
	same(t, "the one", mustDelivery(t, e, "siem"), store.Delivery{Position: 10, Delivered: 1, Dead: 1})
	same(t, "the other", mustDelivery(t, e, "misp"), store.Delivery{Position: 5, Delivered: 2})
	n, err := e.QueueDeadLetters(t.Context(), "d", "siem")
	if err != nil || n != 0 {
		t.Errorf("another collection has %d dead letters, %v", n, err)
	}
}

func deadInParts(t *testing.T, e env) {
	mustAdvance(t, e, "siem", store.Advance{To: 10, Dead: []store.DeadLetter{dead(1), dead(2), dead(3)}})
	same(t, "first", mustDead(t, e, 0, false, 2), []store.DeadLetter{dead(1), dead(2)})
	same(t, "rest", mustDead(t, e, 2, false, 2), []store.DeadLetter{dead(3)})
}

func countsWaiting(t *testing.T, e env) {
	mustPut(t, e, "c", objects(0, 5)...)
	page, err := e.ListObjects(t.Context(), "c", store.Query{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ position, most, want int64 }{{0, 100, 5}, {0, 3, 3}, {page.Next, 100, 3}} {
		n, err := e.Waiting(t.Context(), "c", c.position, c.most)
		if err != nil || n != c.want {
			t.Errorf("behind %d, up to %d: %d, %v; want %d", c.position, c.most, n, err, c.want)
		}
	}
}

func cutsReasons(t *testing.T, e env) {
	long := dead(1)
	long.Reason = strings.Repeat("ä", store.MaxDeadReason)
	mustAdvance(t, e, "siem", store.Advance{To: 1, Dead: []store.DeadLetter{long}})
	same(t, "reason", mustDead(t, e, 0, false, 1)[0].Reason, strings.Repeat("ä", store.MaxDeadReason/2))
}

func deadLimits(t *testing.T, e env) {
	for _, limit := range []int{0, store.MaxRecords + 1} {
		if _, err := e.DeadLetters(t.Context(), "c", "siem", 0, false, limit); err == nil {
			t.Errorf("limit %d is taken", limit)
		}
	}
}

func settlesStrangers(t *testing.T, e env) {
	mustAdvance(t, e, "siem", store.Advance{To: 10, Delivered: 1, Dead: []store.DeadLetter{dead(1)}})
	if err := e.SettleDeadLetters(t.Context(), "c", "siem", []int64{5}, []store.DeadLetter{dead(6)}); err != nil {
		t.Fatal(err)
	}
	same(t, "state", mustDelivery(t, e, "siem"), store.Delivery{Position: 10, Delivered: 1, Dead: 1})
}
