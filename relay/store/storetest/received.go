// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func acceptsOnce(t *testing.T, e env) {
	first := mustAccept(t, e, received("m", 1))
	again := received("m", 1)
	again.Signed, again.Receipt, again.StoredAt = []byte("signed again"), []byte("other receipt"), epoch.Add(time.Hour)
	got, duplicate, err := e.Accept(t.Context(), again)
	if err != nil || !duplicate {
		t.Fatalf("second time: duplicate %v, error %v", duplicate, err)
	}
	same(t, "what is stored", got, first)
	same(t, "messages", len(mustMessages(t, e, store.MessageQuery{Limit: 10}).Messages), 1)
	same(t, "gaps", mustCountMessages(t, e).Gaps, int64(0))
}

func otherContent(t *testing.T, e env) {
	first := mustAccept(t, e, received("m", 1))
	other := received("m", 1)
	other.Payload = []byte("other")
	_, _, err := e.Accept(t.Context(), other)
	wantErr(t, err, store.ErrConflict)
	same(t, "what is stored", mustGet(t, e, store.In, "m"), first)
}

func knownSerial(t *testing.T, e env) {
	mustAccept(t, e, received("m", 1))
	_, _, err := e.Accept(t.Context(), received("n", 1))
	wantErr(t, err, store.ErrConflict)
	_, err = e.GetMessage(t.Context(), store.In, "bravo.example", "n")
	wantErr(t, err, store.ErrNotFound)
	charlie := received("n", 1)
	charlie.Peer = "charlie.example"
	mustAccept(t, e, charlie)
}

func badSerial(t *testing.T, e env) {
	for _, serial := range []int64{0, -1} {
		if _, _, err := e.Accept(t.Context(), received("m", serial)); err == nil {
			t.Errorf("serial %d is accepted", serial)
		}
	}
}

func acknowledgesOnce(t *testing.T, e env) {
	mustAccept(t, e, received("in", 1))
	same(t, "unacknowledged", mustCountMessages(t, e).Unacknowledged, int64(1))
	ack := mustEnqueue(t, e, message("ack", ackOf("in")))
	got := mustGet(t, e, store.In, "in")
	same(t, "acknowledged by", got.AcknowledgedBy, "ack")
	same(t, "acknowledged at", got.AcknowledgedAt, ack.CreatedAt)
	_, err := enqueue(e, t, message("ack2", ackOf("in")))
	wantErr(t, err, store.ErrConflict)
	_, err = enqueue(e, t, message("ack3", ackOf("nothing")))
	wantErr(t, err, store.ErrNotFound)
	same(t, "pending", pendingIDs(t, e, 10), []string{"ack"})
	same(t, "unacknowledged at the end", mustCountMessages(t, e).Unacknowledged, int64(0))
	same(t, "next serial", mustEnqueue(t, e, message("m")).Serial, int64(2))
}

func marksAcknowledged(t *testing.T, e env) {
	mustEnqueue(t, e, message("out"))
	mustReceipt(t, e, "out")
	ack := mustAccept(t, e, received("ack", 1, ackOf("out")))
	got := mustGet(t, e, store.Out, "out")
	same(t, "acknowledged by", got.AcknowledgedBy, "ack")
	same(t, "acknowledged at", got.AcknowledgedAt, ack.CreatedAt)
	later := received("ack2", 2, ackOf("out"))
	later.CreatedAt = epoch.Add(time.Hour)
	mustAccept(t, e, later)
	same(t, "after a second ACK", mustGet(t, e, store.Out, "out"), got)
	mustAccept(t, e, received("check", 3, func(m *store.Message) { m.Kind = "LINE_CHECK" }))
	same(t, "an ACK and a line check wait for nobody", mustCountMessages(t, e).Unacknowledged, int64(0))
	unread, err := e.Unread(t.Context(), "bravo.example", 10)
	must(t, err)
	same(t, "unread", len(unread), 0)
	list, err := e.ListMessages(t.Context(), store.MessageQuery{Direction: store.In, Unread: true, Limit: 10})
	must(t, err)
	same(t, "listed as unread", len(list.Messages), 0)
}

func strayAck(t *testing.T, e env) {
	mustAccept(t, e, received("in", 1))
	mustAccept(t, e, received("ack", 2, ackOf("in")))
	mustAccept(t, e, received("ack2", 3, ackOf("ack")))
	same(t, "a received message is not acknowledged by its sender", mustGet(t, e, store.In, "in").AcknowledgedBy, "")
	same(t, "the ACK is kept", mustGet(t, e, store.In, "ack").Kind, "ACK")
}
