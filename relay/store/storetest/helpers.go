// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/store"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// object makes the n-th object, all of different id.
func object(n int) store.Object {
	id := fmt.Sprintf("indicator--%08d-0000-4000-8000-000000000000", n)
	return store.Object{
		ID: id, Type: "indicator", SpecVersion: "2.1", Version: epoch,
		Raw: fmt.Appendf(nil, `{"type":"indicator","id":%q}`, id),
	}
}

func objects(from, to int) []store.Object {
	var all []store.Object
	for n := from; n < to; n++ {
		all = append(all, object(n))
	}
	return all
}

func mustPut(t *testing.T, s store.Store, collection string, objects ...store.Object) []store.Outcome {
	t.Helper()
	outcomes, err := s.PutObjects(t.Context(), collection, objects, "")
	if err != nil {
		t.Fatalf("PutObjects: %v", err)
	}
	return outcomes
}

func mustList(t *testing.T, s store.Store, collection string, q store.Query) store.Page {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = store.MaxRecords
	}
	page, err := s.ListObjects(t.Context(), collection, q)
	if err != nil {
		t.Fatalf("ListObjects: %v", err)
	}
	return page
}

func mustView(t *testing.T, s store.Store, v store.View, collections []string, q store.Query) store.Page {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = store.MaxRecords
	}
	page, err := s.ListView(t.Context(), v, collections, q)
	if err != nil {
		t.Fatalf("ListView: %v", err)
	}
	return page
}

func mustDecide(t *testing.T, s store.Store, v store.View, decisions ...store.Decision) {
	t.Helper()
	if err := s.Decide(t.Context(), v, decisions); err != nil {
		t.Fatalf("Decide: %v", err)
	}
}

func mustCount(t *testing.T, s store.Store, v store.View, collections ...string) store.Counts {
	t.Helper()
	counts, err := s.CountView(t.Context(), v, collections)
	if err != nil {
		t.Fatalf("CountView: %v", err)
	}
	return counts
}

func ids(records []store.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.ID)
	}
	return all
}

func objectIDs(numbers ...int) []string {
	var all []string
	for _, n := range numbers {
		all = append(all, object(n).ID)
	}
	return all
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

// growing fails unless positions are unique, ascending whole microseconds in UTC.
func growing(t *testing.T, records []store.Record) {
	t.Helper()
	for i, r := range records {
		if r.DateAdded.Location() != time.UTC || r.DateAdded.Nanosecond()%1000 != 0 {
			t.Errorf("date added %v is not in whole microseconds, UTC", r.DateAdded)
		}
		if i > 0 && !r.DateAdded.After(records[i-1].DateAdded) {
			t.Errorf("record %d is added at %v, not after %v", i, r.DateAdded, records[i-1].DateAdded)
		}
	}
}

// message makes a message of ours; serial and peer are for the store to set.
func message(id string, mods ...func(*store.Message)) store.Message {
	m := store.Message{
		ID: id, Conversation: "talk-" + id, Kind: "INQUIRY", Precedence: "ROUTINE",
		Payload: []byte("payload of " + id), CreatedAt: epoch,
	}
	for _, mod := range mods {
		mod(&m)
	}
	return m
}

func ackOf(id string) func(*store.Message) {
	return func(m *store.Message) { m.Kind, m.InReplyTo = "ACK", id }
}

func precedence(p string) func(*store.Message) {
	return func(m *store.Message) { m.Precedence = p }
}

func talk(conversation string) func(*store.Message) {
	return func(m *store.Message) { m.Conversation = conversation }
}

// received makes a message of the peer bravo.
func received(id string, serial int64, mods ...func(*store.Message)) store.Message {
	m := message(id, mods...)
	m.Direction, m.Peer, m.Serial = store.In, "bravo.example", serial
	m.Signed, m.Receipt = []byte("signed "+id), []byte("receipt "+id)
	m.StoredAt, m.ReceiptAt = epoch.Add(time.Second), epoch.Add(time.Second)
	return m
}

func enqueue(s store.Store, t *testing.T, m store.Message) (store.Message, error) {
	return s.Enqueue(t.Context(), "bravo.example", func(serial int64) (store.Message, error) {
		m.Serial = serial
		return m, nil
	})
}

func mustEnqueue(t *testing.T, s store.Store, m store.Message) store.Message {
	t.Helper()
	stored, err := enqueue(s, t, m)
	if err != nil {
		t.Fatalf("Enqueue: %v", err)
	}
	return stored
}

func mustAccept(t *testing.T, s store.Store, m store.Message) store.Message {
	t.Helper()
	stored, duplicate, err := s.Accept(t.Context(), m)
	if err != nil || duplicate {
		t.Fatalf("Accept: duplicate %v, error %v", duplicate, err)
	}
	return stored
}

func mustReceipt(t *testing.T, s store.Store, id string) {
	t.Helper()
	err := putReceipt(t, s, "bravo.example", store.Receipt{ID: id, Body: []byte("receipt " + id), At: epoch.Add(time.Minute)})
	if err != nil {
		t.Fatalf("PutReceipts: %v", err)
	}
}

func mustGet(t *testing.T, s store.Store, d store.Direction, id string) store.Message {
	t.Helper()
	m, err := s.GetMessage(t.Context(), d, "bravo.example", id)
	if err != nil {
		t.Fatalf("GetMessage: %v", err)
	}
	return m
}

func mustCountMessages(t *testing.T, s store.Store) store.MessageCounts {
	t.Helper()
	counts, err := s.CountMessages(t.Context(), "bravo.example")
	if err != nil {
		t.Fatalf("CountMessages: %v", err)
	}
	return counts
}

func messageIDs(messages []store.Message) []string {
	var all []string
	for _, m := range messages {
		all = append(all, m.ID)
	}
	return all
}

func pendingIDs(t *testing.T, s store.Store, limit int) []string {
	t.Helper()
	pending, err := s.Pending(t.Context(), "bravo.example", limit)
	if err != nil {
		t.Fatalf("Pending: %v", err)
	}
	return messageIDs(pending)
}

func reversed(s []string) []string {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}

// putReceipt stores the receipt of a message.
func putReceipt(t *testing.T, s store.Store, peer string, r store.Receipt) error {
	t.Helper()
	return s.ChangeLine(t.Context(), peer, func(l store.LineTx) error { return l.PutReceipts(r) })
}
