// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

var queuedForMonths = flag.Int("queued", 420, "messages that wait in TestMonthsWithoutALink")

const (
	aMonth = 30 * 24 * time.Hour
	// months without a link: longer than what ended is kept, and than any signing certificate lasts.
	monthsAway = 14
	// awayTalks are how many conversations there are of what waits; no divisor of the number of precedences, so
	// that each has all of them.
	awayTalks = 7
)

// awayMonth lets both relays be down for a month, and starts them with new certificates.
func (w *world) awayMonth() {
	w.alfa.kill()
	w.bravo.kill()
	<-time.After(aMonth)
	for _, n := range []*nation{w.alfa, w.bravo} {
		n.become(n.newIdentity(w.alfa.ca, w.bravo.ca))
		n.start()
	}
	w.pass(3)
}

// writes stores so many messages of ours, in awayTalks conversations, each with all precedences.
func (n *nation) writes(first, count int) {
	n.t.Helper()
	l := n.engine().all()[0]
	for i := first; i < first+count; {
		err := l.changeAll(context.Background(), func(tx store.LineTx) (entries []store.JournalEntry, err error) {
			for end := min(i+maxBatch, first+count); i < end; i++ {
				p := payload(n.trustDomain, l.trustDomain)
				p.ID, p.Conversation, p.Subject = ulid.Make().String(), fmt.Sprint("talk-", i%awayTalks), fmt.Sprintf("%06d", i)
				p.Kind, p.Precedence, p.CreatedAt = message.Notification, message.Precedences[i%len(message.Precedences)], time.Now().UTC().Truncate(time.Microsecond)
				m, err := tx.Enqueue(composed(&p))
				if err != nil {
					return nil, err
				}
				entries = append(entries, store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload})
			}
			return entries, nil
		})
		if err != nil {
			n.t.Fatal(err)
		}
	}
}

// cameInOrder fails unless what came of each conversation came in the order in which it was written.
func (n *nation) cameInOrder(want int) {
	n.t.Helper()
	newest, seen := map[string]string{}, map[string]bool{}
	q := store.MessageQuery{Direction: store.In, Limit: store.MaxMessages}
	for more := true; more; more = q.Before > 0 {
		page, err := n.life().store.ListMessages(n.t.Context(), q)
		if err != nil {
			n.t.Fatal(err)
		}
		for _, m := range page.Messages { // the newest first
			p, err := decodeStored(m.Payload)
			if err != nil {
				n.t.Fatal(err)
			}
			if !strings.HasPrefix(p.Conversation, "talk-") {
				continue
			}
			if last := newest[p.Conversation]; last != "" && p.Subject >= last || seen[m.ID] {
				n.t.Errorf("%s came before %s in %s, or twice", last, p.Subject, p.Conversation)
			}
			newest[p.Conversation], seen[m.ID] = p.Subject, true
		}
		q.Before = page.Next
	}
	if len(seen) != want {
		n.t.Errorf("%d messages of the conversations came, want %d", len(seen), want)
	}
}

// TestMonthsWithoutALink: what was written arrives, though every certificate that signed it has ended,
// the CA of its sender was replaced, and the relays were down for most of the time.
func TestMonthsWithoutALink(t *testing.T) {
	bubble(t, "end_with_all_of_it_at_the_peer_once_in_order_and_proven", func(t *testing.T, w *world) {
		early := w.alfa.send(request("", "before"))
		w.pass(1)
		// The last one before the line is cut arrives, and its receipt does not.
		w.faults(func(s step) outcome {
			if s.what == "response" {
				return fails
			}
			return works
		})
		half := w.alfa.send(request("", "half"))
		w.pass(1)
		w.faults(cut)
		asked := request("", "question")
		asked.Kind, asked.Precedence, asked.AnswerBy = "INQUIRY", "FLASH", time.Now().Add(time.Hour)
		question := w.alfa.send(asked)
		w.bravo.acknowledge(early.ID)
		each := *queuedForMonths / monthsAway
		for month := range monthsAway {
			w.alfa.writes(month*each, each)
			w.bravo.writes(month, 1)
			if month == monthsAway/2 {
				w.alfa.ca = testca.New(t, "alfa.example") // bravo learns of it by hand, and forgets the old one
			}
			w.awayMonth()
		}
		w.alfa.about("CANCEL", "never mind", half.ID)
		if r := w.alfa.report(); r.Queued != int64(monthsAway*each)+3 || r.OverdueReceipts == 0 || r.OverdueAnswers != 1 {
			t.Errorf("before the line is up: %+v", r)
		}
		w.faults(nil)
		for begun := time.Now(); w.alfa.report().Queued > 0 || w.bravo.report().Queued > 0; w.pass(1) {
			if time.Since(begun) > 24*time.Hour {
				t.Fatalf("after a day %+v waits", w.alfa.report())
			}
		}
		w.wholeAfterMonths(t, monthsAway*each, early, half, question)
	})
}

// wholeAfterMonths looks at both sides once the line is up again.
func (w *world) wholeAfterMonths(t *testing.T, queued int, early, half, question desk.Message) {
	t.Helper()
	w.bravo.cameInOrder(queued)
	w.alfa.cameInOrder(monthsAway)
	sent, came := int64(queued)+4, int64(monthsAway)+1
	for _, side := range []struct {
		n              *nation
		sent, received int64
	}{{w.alfa, sent, came}, {w.bravo, came, sent}} {
		c := side.n.verify()
		if c.State != desk.JournalWhole || c.Messages != side.sent || c.Receipts != side.received || c.Damage != nil || c.Witness.State != desk.PeerAgrees {
			t.Errorf("the journal of %s is %+v", side.n.name, c)
		}
		if s := side.n.state(); s != report.JournalIntact {
			t.Errorf("%s says of the journals %s", side.n.name, s)
		}
	}
	for _, m := range []desk.Message{early, half, question} {
		got, err := w.bravo.engine().Get(t.Context(), store.In, "alfa.example", m.ID)
		if err != nil || got.Text != m.Text || !got.CreatedAt.Equal(m.CreatedAt) {
			t.Errorf("%s: %+v, %v", m.Subject, got, err)
		}
		proof, err := w.bravo.engine().Prove(t.Context(), "in", "alfa", m.ID, false)
		if err != nil || proof.Kind != string(journal.Message) {
			t.Errorf("%s cannot be proven: %v", m.Subject, err)
		}
	}
	if got, err := w.bravo.engine().Get(t.Context(), store.In, "alfa.example", half.ID); err != nil || got.Standing != desk.Cancelled {
		t.Errorf("what was cancelled stands as %q, %v", got.Standing, err)
	}
	if got, err := w.alfa.engine().Get(t.Context(), store.Out, "bravo.example", early.ID); err != nil || got.State != "Acknowledged" {
		t.Errorf("what was acknowledged before is %q, %v", got.State, err)
	}
	if counts, err := w.bravo.life().store.CountMessages(t.Context(), "alfa.example"); err != nil || counts.Gaps != 0 {
		t.Errorf("%d serials are missing at bravo, %v", counts.Gaps, err)
	}
}
