// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// OldSchema is the last step of the schema under which OldMessages could be stored.
const OldSchema = "_urgent_first.sql"

// OldMessages are statements that store messages in all states, as releases did before receipts
// had a place of their own and proofs shared what a batch has in common. binary is the type of bytes. The signer's
// chain number 1 is there.
func OldMessages(binary string) (statements []string) {
	bytes := func(text string) string {
		if text == "" {
			return "NULL"
		}
		return fmt.Sprintf("CAST('%s' AS %s)", text, binary)
	}
	for _, m := range []struct {
		direction, id, talk, kind, answers string
		serial, urgency, receiptAt         int
		receipt, proof, acknowledged       string
	}{
		{"out", "done", "done", "INQUIRY", "", 1, 3, 2_000_000, "receipt of done", "proof of done", "ack"},
		{"out", "sent", "sent", "INQUIRY", "", 2, 3, 1_000_000, "receipt of sent", "", ""},
		{"out", "q1", "q1", "INQUIRY", "", 3, 0, 0, "", "", ""},
		{"out", "q2", "q1", "INQUIRY", "", 4, 0, 0, "", "", ""},
		{"out", "q3", "q3", "INQUIRY", "", 5, 3, 0, "", "", ""},
		{"in", "got", "got", "INQUIRY", "", 1, 3, 3_000_000, "receipt of got", "proof of got", ""},
		{"in", "ack", "done", "ACK", "done", 2, 3, 3_000_000, "receipt of ack", "", ""},
		{"in", "read", "read", "INQUIRY", "", 3, 3, 3_000_000, "receipt of read", "", "another"},
	} {
		chain := 0
		if m.proof != "" {
			chain = 1
		}
		statements = append(statements, fmt.Sprintf(`INSERT INTO messages (direction, peer, id, serial, conversation, kind, precedence, urgency, in_reply_to,
			payload, created_at, stored_at, receipt, receipt_at, acknowledged_by, entry, proof, proof_chain)
			VALUES ('%s', 'bravo.example', '%s', %d, '%s', '%s', 'ROUTINE', %d, '%s', %s, 1, 1, %s, %d, '%s', %d, %s, %d)`,
			m.direction, m.id, m.serial, m.talk, m.kind, m.urgency, m.answers, bytes("payload of "+m.id), bytes(m.receipt), m.receiptAt,
			m.acknowledged, m.serial, bytes(m.proof), chain))
	}
	return append(statements, "INSERT INTO lines (peer, out_serial, in_messages, in_serial) VALUES ('bravo.example', 5, 3, 3)")
}

// Upgraded checks that s, which held OldMessages before it was opened, has them all in their states, and goes on with them.
func Upgraded(t *testing.T, s store.Store) {
	t.Helper()
	e := env{Store: s}
	same(t, "pending", pendingIDs(t, e, 10), []string{"q1", "q2", "q3"})
	done := mustGet(t, e, store.Out, "done")
	same(t, "receipt, its time and the acknowledgement", fmt.Sprint(string(done.Receipt), done.ReceiptAt.UnixMicro(), done.AcknowledgedBy), "receipt of done2000000ack")
	wantProof(t, e, store.Out, "done", "proof of done", "chain")
	wantProof(t, e, store.Out, "sent", "", "")
	wantProof(t, e, store.Out, "q1", "", "")
	wantProof(t, e, store.In, "got", "proof of got", "chain")
	wantCounts(t, e, store.MessageCounts{Queued: 3, Unacknowledged: 1, LastReceipt: time.UnixMicro(2_000_000).UTC()})
	noReceipt, noAck, err := e.Outstanding(t.Context(), "bravo.example", 10)
	same(t, "without receipt, without acknowledgement", fmt.Sprint(messageIDs(noReceipt), messageIDs(noAck), err), "[q1 q2 q3] [sent] <nil>")
	traffic, err := e.CountTraffic(t.Context(), "bravo.example", time.UnixMicro(1), time.UnixMicro(4_000_000))
	same(t, "sent and received", fmt.Sprint(traffic.Sent, traffic.Received, err), "2 3 <nil>")
	goesOn(t, e)
	first := store.Recovery{Since: epoch, Ours: 6, Messages: 1}
	for _, want := range []store.Recovery{{}, first} {
		mustRead(t, e, func(l store.LineReader) error {
			got, _, err := l.Recovery()
			same(t, "recovery", got, want)
			return err
		})
		mustChange(t, e, func(l store.LineTx) error { return l.KeepRecovery(first) })
	}
}

// goesOn does to messages of before what is done to new ones.
func goesOn(t *testing.T, e env) {
	t.Helper()
	urgent := message("q4")
	urgent.Conversation, urgent.Precedence = "q3", "FLASH"
	same(t, "next serial", mustEnqueue(t, e, urgent).Serial, int64(6))
	same(t, "pending, of equal urgency", pendingIDs(t, e, 10), []string{"q1", "q2", "q3", "q4"})
	mustChange(t, e, func(l store.LineTx) error {
		return l.PutReceipts(store.Receipt{ID: "done", Body: []byte("another"), At: epoch},
			store.Receipt{ID: "q1", Body: []byte("receipt of q1"), At: epoch, Proof: evidence("new").proof(7, 0)})
	})
	same(t, "the first receipt", string(mustGet(t, e, store.Out, "done").Receipt), "receipt of done")
	wantProof(t, e, store.Out, "done", "proof of done", "chain")
	wantProof(t, e, store.Out, "q1", proven(7, 0), "new")
	wantCounts(t, e, store.MessageCounts{Queued: 3, Unacknowledged: 1, LastReceipt: epoch})
	mustChange(t, e, func(l store.LineTx) error {
		if _, err := l.Move("q3", 9, numbered); err != nil {
			return err
		}
		return l.Replace(givenBack("q2", 8))
	})
	same(t, "pending, moved and replaced", pendingIDs(t, e, 10), []string{"q4", "q3"})
	wantProof(t, e, store.Out, "q2", proven(7, 0), "chain")
}

func wantProof(t *testing.T, e env, d store.Direction, id, text, signer string) {
	t.Helper()
	mustRead(t, e, func(l store.LineReader) error {
		proof, chain, err := l.Proof(d, id)
		same(t, "proof of "+id, string(proof), text)
		same(t, "chain of "+id, string(chain), signer)
		return err
	})
}

func wantCounts(t *testing.T, e env, want store.MessageCounts) {
	t.Helper()
	got, err := e.CountMessages(t.Context(), "bravo.example")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counts", got, want)
}
