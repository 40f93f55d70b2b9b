// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// TestAPeerThatLies is a peer with a certificate that is valid, and a journal that it signs: what it says of
// itself, of us and of time. Nothing of it is stored, nothing of ours counts as delivered, and no process ends.
func TestAPeerThatLies(t *testing.T) {
	bubble(t, "about_its_messages_is_refused_alone", func(t *testing.T, w *world) {
		w.faults(cut)
		f := w.forges()
		for name, change := range map[string]func(p *Payload){
			"the largest serial":               func(p *Payload) { p.Serial = math.MaxInt64 },
			"a negative serial":                func(p *Payload) { p.Serial = math.MinInt64 },
			"an id in letters of full width":   func(p *Payload) { p.ID = strings.Replace(firstID, "A", "\uff21", 1) },
			"an id with a Cyrillic letter":     func(p *Payload) { p.ID = strings.Replace(firstID, "A", "\u0410", 1) },
			"an id with nothing to be seen":    func(p *Payload) { p.ID = firstID[:25] + "\u200b" },
			"an answer to such an id":          func(p *Payload) { p.Kind, p.InReplyTo = message.Answer, strings.Replace(firstID, "A", "\uff21", 1) },
			"a sender in letters that look so": func(p *Payload) { p.From = "\u0430lfa.example" },
			"a sender in capitals":             func(p *Payload) { p.From = "ALFA.example" },
		} {
			p := payload("alfa.example", "bravo.example")
			change(&p)
			from := f.tree.N
			o := opened(t, w, post(t, w, alfaRelay, ContentType, f.batch(t, from, f.sayAfter(t, mustJSON(t, p)))))
			if len(o.Entries) != 0 || len(o.Refusals) != 1 || o.Refusals[0].Status != http.StatusUnprocessableEntity {
				t.Errorf("%s: %d receipts, refusals %+v", name, len(o.Entries), o.Refusals)
			}
		}
		if all := w.bravo.list(store.In); len(all) != 0 {
			t.Errorf("stored: %+v", all)
		}
	})
	bubble(t, "about_time_changes_no_time_of_ours", func(t *testing.T, w *world) {
		w.faults(cut)
		f := w.forges()
		now := time.Now()
		for n, at := range []time.Time{now.AddDate(100, 0, 0), now.AddDate(-10, 0, 0)} {
			p := payload("alfa.example", "bravo.example")
			p.ID, p.Serial, p.CreatedAt = ulidFor(n, n), int64(n+1), at.UTC().Truncate(time.Microsecond)
			from := f.tree.N
			post(t, w, alfaRelay, ContentType, f.batch(t, from, f.sayAfter(t, mustJSON(t, p))))
		}
		for _, m := range w.bravo.list(store.In) {
			if m.StoredAt.Sub(now).Abs() > time.Minute || m.AcknowledgeDue.Sub(now).Abs() > 30*24*time.Hour {
				t.Errorf("message of %s is stored at %s and due at %s", m.CreatedAt, m.StoredAt, m.AcknowledgeDue)
			}
		}
	})
	bubble(t, "about_its_journal_is_named_and_nothing_of_it_taken", func(t *testing.T, w *world) {
		w.faults(cut)
		f, other := w.forges(), w.forges()
		say := func(f *forger, n int) int64 {
			p := payload("alfa.example", "bravo.example")
			p.ID, p.Serial = ulidFor(n/30, n%30), int64(n+1)
			return f.sayAfter(t, mustJSON(t, p))
		}
		old := f.batch(t, 0, say(f, 0))
		post(t, w, alfaRelay, ContentType, old)
		post(t, w, alfaRelay, ContentType, f.batch(t, 1, say(f, 1)))
		sameSize := other.batch(t, 0, say(other, 5), say(other, 6))
		<-time.After(time.Hour)
		for range 3 {
			if o := opened(t, w, post(t, w, alfaRelay, ContentType, old)); len(o.Entries) != 1 && o.State == wire.Continues {
				t.Errorf("a batch of an hour ago: %+v", o.Batch)
			}
		}
		if o := opened(t, w, post(t, w, alfaRelay, ContentType, sameSize)); o.State != wire.Forked || len(o.Entries) != 0 {
			t.Errorf("another checkpoint of one size: %+v", o.Batch)
		}
		if list := w.bravo.doubts(); len(list) != 1 || list[0].Held.Size != 2 || list[0].Shown.Size != 2 {
			t.Errorf("the evidence is %+v", list)
		}
		if all := w.bravo.list(store.In); len(all) != 2 {
			t.Errorf("%d messages are stored", len(all))
		}
	})
}

func TestAReceiptThatIsAnothers(t *testing.T) {
	bubble(t, "settles_nothing", func(t *testing.T, w *world) {
		w.faults(cut)
		for n := range 2 {
			w.bravo.send(request(ulidFor(n, n), "s"))
		}
		l := w.bravo.engine().lineTo("alfa.example")
		pending, err := w.bravo.life().store.Pending(t.Context(), "alfa.example", 2)
		if err != nil || len(pending) != 2 {
			t.Fatal(len(pending), err)
		}
		receipt := func(change func(p *Payload)) []byte {
			p, err := decodeStored(pending[0].Payload)
			if err != nil {
				t.Fatal(err)
			}
			body := pending[0].Payload
			change(&p)
			r := receiptFor(&p, body, time.Now())
			return encodeReceipt(&r)
		}
		for name, tt := range map[string]struct {
			kind journal.Kind
			body []byte
		}{
			"with the serial of another":        {journal.Receipt, receipt(func(p *Payload) { p.Serial = pending[1].Serial })},
			"with the id of another":            {journal.Receipt, receipt(func(p *Payload) { p.ID = pending[1].ID })},
			"with the largest serial":           {journal.Receipt, receipt(func(p *Payload) { p.Serial = math.MaxInt64 })},
			"that is entered as a note":         {journal.Note, receipt(func(*Payload) {})},
			"of a message that we never wrote":  {journal.Receipt, receipt(func(p *Payload) { p.ID = ulidFor(9, 9) })},
			"that says nothing":                 {journal.Receipt, []byte("{}")},
			"to another receiver of the letter": {journal.Receipt, receipt(func(p *Payload) { p.To = "charlie.example" })},
		} {
			f := w.forges()
			o, err := l.openAnswer(l.engine.cfg.Identity(), f.batch(t, 0, f.say(t, tt.kind, tt.body)))
			if err != nil {
				t.Fatal(err)
			}
			failed := map[string]error{}
			if got := l.verifyReceipts(l.engine.cfg.Identity(), o, pending, failed); len(got) != 0 || len(failed) != 2 {
				t.Errorf("%s: %d receipts, failures %v", name, len(got), failed)
			}
		}
	})
}
