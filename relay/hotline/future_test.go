// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// foresees stores a message of a kind of the future, with a member that nobody knows yet, as a later release would.
func (n *nation) foresees(precedence string) (id string, raw []byte) {
	n.t.Helper()
	l := n.engine().all()[0]
	id = ulid.Make().String()
	err := l.change(context.Background(), func(tx store.LineTx) (*store.JournalEntry, error) {
		m, err := tx.Enqueue(func(serial int64) (store.Message, error) {
			p := payload(n.trustDomain, l.trustDomain)
			p.ID, p.Conversation, p.Serial, p.Kind, p.Precedence = id, id, serial, "OF_THE_FUTURE", precedence
			whole, err := json.Marshal(p)
			if err != nil {
				return store.Message{}, err
			}
			raw = append(whole[:len(whole)-1], `,"clearance":{"class":"of the future"}}`...)
			return beside(&p, raw), nil
		})
		if err != nil {
			return nil, err
		}
		return &store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload}, nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return id, raw
}

// TestAKindOfTheFuture: a relay that does not know a kind treats it as a message that somebody must read.
func TestAKindOfTheFuture(t *testing.T) {
	for name, carry := range map[string]func(t *testing.T, w *world){
		"over_the_line": func(_ *testing.T, w *world) { w.pass(1) },
		"by_hand": func(t *testing.T, w *world) {
			w.faults(cut)
			byHand(t, w.alfa, w.bravo)
			w.faults(nil)
		},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.faults(cut)
			id, raw := w.alfa.foresees("FLASH")
			w.faults(nil)
			carry(t, w)
			w.isSeen(t, id, raw)
			w.pass(10)
			situations, err := w.bravo.engine().Situations(t.Context(), "alfa.example")
			if err != nil || len(situations) != 1 || situations[0].Message != id || situations[0].Stage != config.StageInbox {
				t.Errorf("what waits for bravo's desk is %+v, %v", situations, err)
			}
			w.isProven(t, id, raw)
			w.bravo.acknowledge(id)
			answer := request("", "what is that?")
			answer.Kind, answer.InReplyTo = "ANSWER", id
			w.bravo.send(answer)
			w.pass(1)
			if m, err := w.alfa.engine().Get(t.Context(), store.Out, "bravo", id); err != nil || m.State != "Acknowledged" {
				t.Errorf("alfa shows %+v, %v", m, err)
			}
			for _, n := range []*nation{w.alfa, w.bravo} {
				if c := n.verify(); c.State != desk.JournalWhole {
					t.Errorf("the journal of %s is %+v", n.name, c)
				}
			}
		})
	}
}

// isSeen fails unless bravo's desk sees the message, and its report counts it.
func (w *world) isSeen(t *testing.T, id string, raw []byte) {
	t.Helper()
	stored, err := w.bravo.life().store.GetMessage(t.Context(), store.In, "alfa.example", id)
	if err != nil || string(stored.Payload) != string(raw) {
		t.Errorf("bravo stored %s, %v; want %s", stored.Payload, err, raw)
	}
	for _, q := range []store.MessageQuery{
		{Limit: 10}, {Limit: 10, Unread: true, Direction: store.In}, {Limit: 10, Kind: "OF_THE_FUTURE"}, {Limit: 10, Peer: "alfa", Conversation: id},
	} {
		list, err := w.bravo.engine().List(t.Context(), q)
		if err != nil || len(list.Messages) != 1 || list.Messages[0].Kind != "OF_THE_FUTURE" || list.Messages[0].Subject != "s" || list.Messages[0].AcknowledgeDue.IsZero() {
			t.Errorf("%+v lists %+v, %v", q, list.Messages, err)
		}
	}
	if m, err := w.bravo.engine().Get(t.Context(), store.In, "alfa", id); err != nil || m.Text != "t" || m.Kind != "OF_THE_FUTURE" {
		t.Errorf("bravo shows %+v, %v", m, err)
	}
	arrived, err := w.bravo.life().store.Arrived(t.Context(), "alfa.example", 0, 10)
	if err != nil || len(arrived) != 1 || arrived[0].ID != id {
		t.Errorf("what has arrived at bravo is %+v, %v", arrived, err)
	}
	if r := w.bravo.report(); r.Unacknowledged != 1 {
		t.Errorf("bravo's report is %+v", r)
	}
}

// isProven fails unless both sides prove it, byte for byte, and alfa that it was received.
func (w *world) isProven(t *testing.T, id string, raw []byte) {
	t.Helper()
	for _, p := range []struct {
		n         *nation
		direction string
		receipt   bool
	}{{w.alfa, "out", false}, {w.bravo, "in", false}, {w.alfa, "out", true}} {
		proof, err := p.n.engine().Prove(t.Context(), p.direction, p.n.config.Peers[0].Name, id, p.receipt)
		if err != nil || !p.receipt && string(proof.Body) != string(raw) || p.receipt && !strings.Contains(string(proof.Body), id) {
			t.Errorf("%s proves %s, %v", p.n.name, proof.Body, err)
		}
	}
}
