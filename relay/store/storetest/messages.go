// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var messageTests = map[string]func(t *testing.T, e env){
	"keeps_messages_across_a_reopen":                keepsMessages,
	"counts_serials_without_gaps_for_each_peer":     serialsForEachPeer,
	"uses_up_no_serial_when_composing_fails":        failedCompose,
	"refuses_a_second_message_with_the_same_id":     sameID,
	"gives_the_most_urgent_first":                   urgentFirst,
	"keeps_order_within_a_conversation":             conversationOrder,
	"leaves_out_conversations_that_wait":            leavesOut,
	"keeps_the_first_receipt":                       firstReceipt,
	"accepts_a_message_once":                        acceptsOnce,
	"refuses_other_content_under_a_known_id":        otherContent,
	"refuses_another_message_under_a_known_serial":  knownSerial,
	"refuses_a_serial_that_is_not_positive":         badSerial,
	"acknowledges_a_received_message_once":          acknowledgesOnce,
	"marks_our_message_when_its_ack_is_accepted":    marksAcknowledged,
	"keeps_an_ack_that_names_no_message_of_ours":    strayAck,
	"lists_what_is_outstanding":                     outstanding,
	"lists_messages_newest_first_in_pages":          listsMessages,
	"sums_up_the_hotline":                           sumsUp,
	"counts_the_gaps_in_the_serials_of_the_peer":    countsGaps,
	"finds_no_message_that_is_not_there":            notThere,
	"refuses_limits_of_message_lists_out_of_bounds": messageLimits,
}

func keepsMessages(t *testing.T, e env) {
	out := mustEnqueue(t, e, message("out1"))
	in := mustAccept(t, e, received("in1", 1))
	mustReceipt(t, e, "out1")
	if out.Direction != store.Out || out.Peer != "bravo.example" || out.Serial != 1 || out.StoredAt.IsZero() {
		t.Errorf("enqueued message is %+v", out)
	}
	out.Receipt, out.ReceiptAt = []byte("receipt out1"), epoch.Add(time.Minute)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	same(t, "message of ours", mustGet(t, s, store.Out, "out1"), out)
	same(t, "received message", mustGet(t, s, store.In, "in1"), in)
	want := received("in1", 1)
	want.Urgency = 3
	same(t, "received message as it was given", in, want)
}

func serialsForEachPeer(t *testing.T, e env) {
	for want := int64(1); want <= 3; want++ {
		for _, peer := range []string{"bravo.example", "charlie.example"} {
			m, err := e.Enqueue(t.Context(), peer, func(serial int64) (store.Message, error) {
				return message(fmt.Sprint("m", serial)), nil
			})
			if err != nil || m.Serial != want || m.ID != fmt.Sprint("m", want) {
				t.Errorf("serial for %s is %d, %v; want %d", peer, m.Serial, err, want)
			}
		}
	}
	// The peer's own serials are independent of ours.
	mustAccept(t, e, received("in7", 7))
	same(t, "next serial", mustEnqueue(t, e, message("m4")).Serial, int64(4))
}

func failedCompose(t *testing.T, e env) {
	want := errors.New("no")
	_, err := e.Enqueue(t.Context(), "bravo.example", func(int64) (store.Message, error) { return store.Message{}, want })
	wantErr(t, err, want)
	same(t, "queued", mustCountMessages(t, e).Queued, int64(0))
	same(t, "serial after a failure", mustEnqueue(t, e, message("m")).Serial, int64(1))
}

func sameID(t *testing.T, e env) {
	mustEnqueue(t, e, message("m"))
	_, err := enqueue(e, t, message("m"))
	wantErr(t, err, store.ErrConflict)
	same(t, "next serial", mustEnqueue(t, e, message("n")).Serial, int64(2))
	// The other direction and other peers have ids of their own.
	mustAccept(t, e, received("m", 1))
	if _, err := e.Enqueue(t.Context(), "charlie.example", func(int64) (store.Message, error) { return message("m"), nil }); err != nil {
		t.Errorf("the same id for another peer: %v", err)
	}
}

func urgentFirst(t *testing.T, e env) {
	for i, p := range []string{"ROUTINE", "PRIORITY", "FLASH", "WHATEVER", "IMMEDIATE", "FLASH", "ROUTINE"} {
		mustEnqueue(t, e, message(fmt.Sprint(i, p), precedence(p)))
	}
	want := []string{"2FLASH", "5FLASH", "4IMMEDIATE", "1PRIORITY", "0ROUTINE", "6ROUTINE", "3WHATEVER"}
	same(t, "pending", pendingIDs(t, e, 100), want)
	same(t, "pending, at most 3", pendingIDs(t, e, 3), want[:3])
	mustReceipt(t, e, "5FLASH")
	same(t, "pending after a receipt", pendingIDs(t, e, 2), []string{"2FLASH", "4IMMEDIATE"})
	other, err := e.Pending(t.Context(), "charlie.example", 10)
	if err != nil || len(other) != 0 {
		t.Errorf("another peer has %d pending messages, %v", len(other), err)
	}
	mustAccept(t, e, received("in", 1))
	same(t, "a received message is not pending", len(pendingIDs(t, e, 100)), 6)
}

func leavesOut(t *testing.T, e env) {
	for _, id := range []string{"a1", "b1", "a2", "c1"} {
		mustEnqueue(t, e, message(id, talk(id[:1])))
	}
	for _, c := range []struct {
		without, want []string
	}{
		{[]string{"a"}, []string{"b1", "c1"}},
		{[]string{"a", "c", "x"}, []string{"b1"}},
		{[]string{"a", "b", "c"}, nil},
		{nil, []string{"a1", "b1", "a2", "c1"}},
	} {
		got, err := e.Pending(t.Context(), "bravo.example", 10, c.without...)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint("pending without ", c.without), messageIDs(got), c.want)
	}
	if _, err := e.Pending(t.Context(), "bravo.example", 10, make([]string, store.MaxSelectors+1)...); err == nil {
		t.Error("too many conversations were accepted")
	}
}

func conversationOrder(t *testing.T, e env) {
	mustEnqueue(t, e, message("a1", talk("a")))
	mustEnqueue(t, e, message("b1", talk("b"), precedence("PRIORITY")))
	mustEnqueue(t, e, message("a2", talk("a")))
	same(t, "pending", pendingIDs(t, e, 10), []string{"b1", "a1", "a2"})
	mustEnqueue(t, e, message("a3", talk("a"), precedence("FLASH")))
	mustEnqueue(t, e, message("a4", talk("a")))
	same(t, "an urgent message takes its conversation along", pendingIDs(t, e, 10), []string{"a1", "a2", "a3", "b1", "a4"})
	same(t, "its precedence stays", mustGet(t, e, store.Out, "a1").Precedence, "ROUTINE")
}

func firstReceipt(t *testing.T, e env) {
	mustEnqueue(t, e, message("m"))
	mustReceipt(t, e, "m")
	first := mustGet(t, e, store.Out, "m")
	if err := putReceipt(t, e, "bravo.example", store.Receipt{ID: "m", Body: []byte("r2"), At: epoch.Add(time.Hour)}); err != nil {
		t.Errorf("repeating: %v", err)
	}
	same(t, "after a second receipt", mustGet(t, e, store.Out, "m"), first)
	wantErr(t, putReceipt(t, e, "bravo.example", store.Receipt{ID: "n", Body: []byte("r"), At: epoch}), store.ErrNotFound)
	wantErr(t, putReceipt(t, e, "charlie.example", store.Receipt{ID: "m", Body: []byte("r"), At: epoch}), store.ErrNotFound)
	if err := putReceipt(t, e, "bravo.example", store.Receipt{ID: "m", Body: nil, At: epoch}); err == nil {
		t.Error("an empty receipt is stored")
	}
}

func outstanding(t *testing.T, e env) {
	mustAccept(t, e, received("in", 1))
	for _, id := range []string{"a", "b", "c", "d"} {
		mustEnqueue(t, e, message(id))
	}
	mustEnqueue(t, e, message("urgent", precedence("FLASH")))
	mustEnqueue(t, e, message("ack", ackOf("in")))
	for _, id := range []string{"a", "b", "c", "ack"} {
		mustReceipt(t, e, id)
	}
	mustAccept(t, e, received("answer", 2, ackOf("b")))
	check := func(limit int, wantReceipt, wantAck []string) {
		t.Helper()
		noReceipt, noAck, err := e.Outstanding(t.Context(), "bravo.example", limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "without receipt", messageIDs(noReceipt), wantReceipt)
		same(t, "without acknowledgement", messageIDs(noAck), wantAck)
		for _, m := range append(noReceipt, noAck...) {
			if m.Payload != nil || m.Signed != nil || m.Receipt != nil || m.StoredAt.IsZero() {
				t.Errorf("outstanding message is %+v", m)
			}
		}
	}
	check(10, []string{"urgent", "d"}, []string{"a", "c"})
	check(1, []string{"urgent"}, []string{"a"})
	mustReceipt(t, e, "urgent")
	check(1, []string{"d"}, []string{"urgent"})
}

func mustMessages(t *testing.T, s store.Store, q store.MessageQuery) store.MessagePage {
	t.Helper()
	page, err := s.ListMessages(t.Context(), q)
	if err != nil {
		t.Fatalf("ListMessages: %v", err)
	}
	return page
}

func listsMessages(t *testing.T, e env) {
	var both, ours []string
	for i := range 5 {
		both = append(both, mustEnqueue(t, e, message(fmt.Sprint("out", i))).ID)
		ours = append(ours, both[len(both)-1])
		both = append(both, mustAccept(t, e, received(fmt.Sprint("in", i), int64(i+1))).ID)
	}
	charlie := received("x", 1)
	charlie.Peer = "charlie.example"
	mustAccept(t, e, charlie)
	all := mustMessages(t, e, store.MessageQuery{Limit: 100})
	same(t, "all", messageIDs(all.Messages), reversed(append(both, "x")))
	same(t, "a list holds the whole message", all.Messages[1], mustGet(t, e, store.In, "in4"))
	for name, tt := range map[string]struct {
		query store.MessageQuery
		want  []string
	}{
		"direction":          {store.MessageQuery{Direction: store.Out}, reversed(ours)},
		"peer":               {store.MessageQuery{Peer: "bravo.example"}, reversed(both)},
		"direction and peer": {store.MessageQuery{Direction: store.In, Peer: "charlie.example"}, []string{"x"}},
		"unknown peer":       {store.MessageQuery{Peer: "delta.example"}, nil},
	} {
		var got []string
		tt.query.Limit = 3
		for {
			page := mustMessages(t, e, tt.query)
			got = append(got, messageIDs(page.Messages)...)
			if page.Next == 0 {
				break
			}
			same(t, "size of a page that is not the last", len(page.Messages), 3)
			tt.query.Before = page.Next
		}
		same(t, "by "+name, got, tt.want)
	}
}

func sumsUp(t *testing.T, e env) {
	same(t, "at first", mustCountMessages(t, e), store.MessageCounts{})
	mustEnqueue(t, e, message("a"))
	mustEnqueue(t, e, message("b"))
	mustAccept(t, e, received("in1", 1))
	mustAccept(t, e, received("in2", 2))
	mustEnqueue(t, e, message("ack", ackOf("in2")))
	mustReceipt(t, e, "a")
	if err := putReceipt(t, e, "bravo.example", store.Receipt{ID: "ack", Body: []byte("r"), At: epoch.Add(time.Second)}); err != nil {
		t.Fatal(err)
	}
	same(t, "sums", mustCountMessages(t, e), store.MessageCounts{
		Queued: 1, Unacknowledged: 1, LastReceipt: epoch.Add(time.Minute),
	})
}

func countsGaps(t *testing.T, e env) {
	for _, tt := range []struct{ serial, gaps int64 }{{3, 2}, {1, 1}, {7, 4}, {2, 3}, {6, 2}, {4, 1}, {5, 0}} {
		mustAccept(t, e, received(fmt.Sprint(tt.serial), tt.serial))
		same(t, fmt.Sprintf("gaps after serial %d", tt.serial), mustCountMessages(t, e).Gaps, tt.gaps)
	}
}

func notThere(t *testing.T, e env) {
	mustEnqueue(t, e, message("m"))
	for _, at := range []struct {
		direction store.Direction
		peer, id  string
	}{{store.In, "bravo.example", "m"}, {store.Out, "charlie.example", "m"}, {store.Out, "bravo.example", "n"}} {
		_, err := e.GetMessage(t.Context(), at.direction, at.peer, at.id)
		wantErr(t, err, store.ErrNotFound)
	}
}

func messageLimits(t *testing.T, e env) {
	for _, limit := range []int{0, -1, store.MaxMessages + 1} {
		if _, err := e.ListMessages(t.Context(), store.MessageQuery{Limit: limit}); err == nil {
			t.Errorf("ListMessages accepts limit %d", limit)
		}
		if _, err := e.Pending(t.Context(), "bravo.example", limit); err == nil {
			t.Errorf("Pending accepts limit %d", limit)
		}
		if _, _, err := e.Outstanding(t.Context(), "bravo.example", limit); err == nil {
			t.Errorf("Outstanding accepts limit %d", limit)
		}
	}
}
