// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

const firstID = "01J0000000000000000000000A"

func request(id, subject string) desk.SendRequest {
	return desk.SendRequest{ID: id, Subject: subject, Text: "text of " + subject, Officer: "Officer One"}
}

// send sends as the desk does: until it is told that the message is stored.
func (n *nation) send(r desk.SendRequest) desk.Message {
	n.t.Helper()
	r.Hotline = n.config.Hotlines[0].Name
	for range 5 {
		n.revive()
		if m, _, err := n.engine().Send(n.t.Context(), r); err == nil {
			return m
		}
	}
	n.t.Fatalf("%s cannot send %q", n.name, r.Subject)
	return desk.Message{}
}

// acknowledge acknowledges as the desk does.
func (n *nation) acknowledge(id string) {
	n.t.Helper()
	for range 5 {
		n.revive()
		if _, err := n.engine().Acknowledge(n.t.Context(), n.config.Peers[0].Name, id, desk.AckRequest{Officer: "Officer Two"}); err == nil {
			return
		}
	}
	n.t.Fatalf("%s cannot acknowledge %s", n.name, id)
}

func (n *nation) list(d store.Direction) []desk.Message {
	n.t.Helper()
	list, err := n.engine().List(n.t.Context(), store.MessageQuery{Direction: d, Limit: store.MaxMessages})
	if err != nil {
		n.t.Fatal(err)
	}
	return list.Messages
}

// proven fails unless everything that was sent to the other nation is there
// once, with gapless serials and receipts that anybody can verify, and entered once in
// the journal of either.
func (n *nation) proven(to *nation, messages int) {
	n.t.Helper()
	sent, arrived := n.list(store.Out), to.list(store.In)
	if len(sent) != messages || len(arrived) != messages {
		n.t.Errorf("%s sent %d messages, of which %d arrived; want %d", n.name, len(sent), len(arrived), messages)
	}
	serials := map[int64]bool{}
	for _, m := range sent {
		serials[m.Serial] = true
		got, err := to.engine().Get(n.t.Context(), store.In, n.trustDomain, m.ID)
		if err != nil {
			n.t.Errorf("message %s did not arrive: %v", m.ID, err)
			continue
		}
		if got.Text != m.Text || got.Serial != m.Serial || got.Subject != m.Subject || !got.CreatedAt.Equal(m.CreatedAt) {
			n.t.Errorf("sent %+v, arrived %+v", m, got)
		}
		n.verifyReceipt(to, m.ID)
	}
	for s := range int64(messages) {
		if !serials[s+1] {
			n.t.Errorf("%s has no serial %d", n.name, s+1)
		}
	}
	if r := n.report(); r.Queued != 0 || r.Error != "" {
		n.t.Errorf("report of %s: %+v", n.name, r)
	}
	if ours, theirs := n.verify(), to.verify(); ours.Damage != nil || theirs.Damage != nil || ours.Messages < int64(messages) || theirs.Receipts != int64(messages) {
		n.t.Errorf("%s has entered %d messages, damage %v; %s %d receipts, damage %v", n.name, ours.Messages, ours.Damage, to.name, theirs.Receipts, theirs.Damage)
	}
	if counts, err := to.life().store.CountMessages(n.t.Context(), n.trustDomain); err != nil || counts.Gaps != 0 {
		n.t.Errorf("%d serials of %s are missing, %v", counts.Gaps, n.name, err)
	}
}

func (n *nation) verifyReceipt(to *nation, id string) {
	n.t.Helper()
	m, err := n.engine().Get(n.t.Context(), store.Out, to.trustDomain, id)
	if err != nil {
		n.t.Fatal(err)
	}
	stored, err := n.life().store.GetMessage(n.t.Context(), store.Out, to.trustDomain, id)
	if err != nil {
		n.t.Fatal(err)
	}
	r, err := readReceipt([]byte(m.Receipt))
	if err == nil {
		err = compareReceipt(r, &stored, n.trustDomain)
	}
	if err != nil {
		n.t.Errorf("receipt of %s: %v", id, err)
	}
	// What each side keeps of the other proves the message and the receipt alone.
	n.provenAlone(to, m.Proof, m.Chain, journal.Receipt, m.Receipt)
	got, err := to.engine().Get(n.t.Context(), store.In, n.trustDomain, id)
	if err != nil {
		n.t.Fatal(err)
	}
	to.provenAlone(n, got.Proof, got.Chain, journal.Message, string(stored.Payload))
}

// provenAlone fails unless the proof leads to a checkpoint of the other's journal, signed by it.
func (n *nation) provenAlone(by *nation, text, chain string, kind journal.Kind, body string) {
	n.t.Helper()
	p, err := journal.ParseProof([]byte(text))
	if err != nil {
		n.t.Errorf("reading the proof %q: %v", text, err)
		return
	}
	var ders [][]byte
	for block, rest := pem.Decode([]byte(chain)); block != nil; block, rest = pem.Decode(rest) {
		ders = append(ders, block.Bytes)
	}
	signer, err := receipt.OpenChain(n.who(), ders, time.Now())
	if err != nil || signer.TrustDomain != by.trustDomain {
		n.t.Errorf("the chain is of %q: %v", signer.TrustDomain, err)
		return
	}
	if _, err := p.Check(kind, []byte(body), journal.Origin(by.trustDomain, n.trustDomain), signer.Key); err != nil {
		n.t.Errorf("the proof: %v", err)
	}
}

// crash makes a process die at a step, once.
type crash struct {
	at      step
	victim  string
	outcome outcome
	// after lets so many such steps pass.
	after int64
}

func (c crash) name() string {
	how := map[outcome]string{works: "and_goes_on", fails: "and_loses", lies: "and_persists"}[c.outcome]
	return fmt.Sprintf("%s_dies_at_%s_%d_of_%s_%s", c.victim, c.at.what, c.after+1, c.at.nation, how)
}

// arm installs the crash for the first such step from now on.
func (w *world) arm(c crash) *atomic.Bool {
	struck, seen := new(atomic.Bool), new(atomic.Int64)
	if c.at.what == "Pending" { // the lane reads the outbox only where it does not know what is in it
		n := w.nation(c.at.nation + ".example")
		for _, l := range n.engine().all() {
			l.forgetFront()
		}
	}
	w.faults(func(s step) outcome {
		if struck.Load() || s != c.at || seen.Add(1) <= c.after {
			return works
		}
		struck.Store(true)
		// "lies" needs the process alive for the operation itself; its error then
		// ends the step as the death would.
		if c.outcome == lies {
			victim := w.nation(c.victim + ".example").life()
			time.AfterFunc(time.Nanosecond, func() { victim.dead.Store(true) })
			return lies
		}
		w.nation(c.victim + ".example").life().dead.Store(true)
		return c.outcome
	})
	return struck
}

// crashes are all edges of a message that from sends to to.
func crashes(from, to string) []crash {
	return []crash{
		{step{from, "sign"}, from, fails, 0},        // before step 1: no key for the checkpoint
		{step{from, "Enqueue"}, from, fails, 0},     // in step 1
		{step{from, "Append"}, from, fails, 0},      // in step 1, the message is written
		{step{from, "Enqueue"}, from, lies, 0},      // after step 1
		{step{from, "Append"}, from, lies, 0},       // after step 1
		{step{from, "Pending"}, from, fails, 0},     // after step 1, in the outbox
		{step{from, "sign"}, from, fails, 1},        // before step 2
		{step{from, "request"}, from, fails, 0},     // after step 2
		{step{from, "request"}, to, works, 0},       // in step 3: the peer is dead
		{step{to, "sign"}, to, fails, 0},            // before step 5
		{step{to, "sign"}, to, fails, 1},            // before step 6: no key for the checkpoint
		{step{to, "Accept"}, to, fails, 0},          // in step 6
		{step{to, "Append"}, to, fails, 0},          // in step 6, the message is written
		{step{to, "Accept"}, to, lies, 0},           // after step 6
		{step{to, "Append"}, to, lies, 0},           // after step 6
		{step{to, "Accept"}, from, works, 0},        // we die while the peer stores
		{step{from, "response"}, from, fails, 0},    // step 7 never arrives, and we die
		{step{from, "response"}, to, fails, 0},      // step 7 never arrives, and the peer dies
		{step{from, "PutReceipts"}, from, fails, 0}, // after step 8
		{step{from, "PutReceipts"}, from, lies, 0},  // after step 9
	}
}

func TestCrash(t *testing.T) {
	for _, c := range crashes("alfa", "bravo") {
		t.Run("message/"+c.name(), func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) { exchange(t, &c, nil) })
		})
	}
	for _, c := range crashes("bravo", "alfa") {
		t.Run("ack/"+c.name(), func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) { exchange(t, nil, &c) })
		})
	}
}

// exchange sends a message from alfa to bravo and acknowledges it, with a crash
// at either, and proves that both arrived once.
func exchange(t *testing.T, atMessage, atAck *crash) {
	t.Helper()
	w := newWorld(t)
	during := func(c *crash, f func()) {
		t.Helper()
		struck := new(atomic.Bool)
		if c != nil {
			struck = w.arm(*c)
		}
		f()
		w.quiet()
		if c != nil && !struck.Load() {
			t.Error("the crash did not happen")
		}
		w.faults(nil)
	}
	w.pass(1) // the greetings are over: it is a step of the message that strikes
	during(atMessage, func() { w.alfa.send(request(firstID, "s")) })
	w.alfa.proven(w.bravo, 1)
	if m := w.alfa.list(store.Out)[0]; m.State != "Stored" {
		t.Errorf("state is %s", m.State)
	}
	during(atAck, func() { w.bravo.acknowledge(firstID) })
	w.bravo.proven(w.alfa, 1)
	w.alfa.journalled(1, 1)
	w.bravo.journalled(1, 1)
	for _, m := range []desk.Message{w.alfa.list(store.Out)[0], w.bravo.list(store.In)[0]} {
		if m.State != "Acknowledged" || m.AcknowledgedBy != "Officer Two" || m.AcknowledgedAt.IsZero() {
			t.Errorf("acknowledged message is %+v", m)
		}
	}
	if m := w.alfa.list(store.In)[0]; m.Kind != KindACK || m.InReplyTo != firstID {
		t.Errorf("ACK is %+v", m)
	}
}

// TestChaos lets anything fail at random for a while. The seed is in the name
// of the test, so that a failure can be played again.
func TestChaos(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, rand.Uint64()} {
		t.Run(fmt.Sprint("seed_", seed), func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func chaos(t *testing.T, random *rand.Rand) {
	const talks, each = 4, 8
	w := newWorld(t)
	w.faults(func(s step) outcome {
		switch random.IntN(12) {
		case 0:
			return fails
		case 1:
			return lies
		case 2:
			if random.IntN(3) == 0 {
				if l := w.nation(s.nation + ".example").life(); l != nil {
					l.dead.Store(true)
				}
			}
		}
		return works
	})
	for i := range each {
		for talk := range talks {
			r := request("", fmt.Sprintf("%d", i))
			r.Conversation = fmt.Sprint("talk-", talk)
			r.Precedence = message.Precedences[(i*7+talk*3)%len(message.Precedences)]
			r.ID = ulidFor(talk, i)
			for w.trySend(r) != nil {
				<-time.After(time.Second)
			}
		}
	}
	for range 30 { // half an hour of faults
		w.alfa.revive()
		w.bravo.revive()
		<-time.After(time.Minute)
	}
	w.faults(nil)
	w.quiet()
	w.alfa.proven(w.bravo, talks*each)
	w.alfa.journalled(talks*each, 0)
	w.bravo.journalled(0, talks*each)
	next := map[string]int{}
	arrived := w.bravo.list(store.In) // newest first
	for _, m := range slices.Backward(arrived) {
		if want := fmt.Sprint(next[m.Conversation]); m.Subject != want {
			t.Errorf("in %s message %s arrived, want %s", m.Conversation, m.Subject, want)
		}
		next[m.Conversation]++
	}
}

func (w *world) trySend(r desk.SendRequest) error {
	w.alfa.revive()
	w.bravo.revive()
	r.Hotline = "to-bravo"
	_, _, err := w.alfa.engine().Send(w.alfa.t.Context(), r)
	return err
}

func ulidFor(talk, i int) string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	return firstID[:24] + strings.Join([]string{digits[talk : talk+1], digits[i : i+1]}, "")
}
