// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/store"
)

// TestInboxRefusesBatches shows each refusal of a whole batch with its status, and that
// nothing was stored.
func TestInboxRefusesBatches(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(cut)
		charlie := testca.New(t, "charlie.example")
		w.bravo.become(w.bravo.newIdentity(w.alfa.ca, w.bravo.ca, charlie))
		own := mustJSON(t, payload("alfa.example", "bravo.example"))
		good := w.message(t, own)
		with := func(change func(f *forger)) []byte {
			f := w.forges()
			change(f)
			return f.batch(t, 0, f.say(t, journal.Message, own))
		}
		changed := func(change func(b *wire.Batch)) []byte {
			return with(func(f *forger) { f.change = change })
		}
		receipted := w.forges()
		asReceipt := receipted.batch(t, 0, receipted.say(t, journal.Receipt, own))
		for name, tt := range map[string]struct {
			peer        access.Peer
			contentType string
			body        []byte
			status      int
			detail      string
		}{
			"nobody":                   {access.Peer{}, ContentType, good, 403, "only the relay of a peer"},
			"a peer's tool":            {access.Peer{TrustDomain: "alfa.example"}, ContentType, good, 403, "only the relay of a peer"},
			"a peer without a hotline": {access.Peer{TrustDomain: "charlie.example", Relay: true}, ContentType, good, 403, "no Hotline for charlie.example"},
			"a content type":           {alfaRelay, "application/json", good, 415, ContentType},
			"no content type":          {alfaRelay, "", good, 415, ContentType},
			"a large body":             {alfaRelay, ContentType, bytes.Repeat([]byte("x"), wire.MaxBytes+1), 413, "at most"},
			"rubbish":                  {alfaRelay, ContentType, []byte("rubbish"), 400, "not a batch"},
			"nothing":                  {alfaRelay, ContentType, nil, 400, "not a batch"},
			"257 entries":              {alfaRelay, ContentType, changed(func(b *wire.Batch) { b.Entries = make([]wire.Entry, wire.MaxEntries+1) }), 400, "more than 256 entries"},
			"a receipt":                {alfaRelay, ContentType, asReceipt, 400, "neither a message nor a note"},
			"a chain that is rubbish":  {alfaRelay, ContentType, changed(func(b *wire.Batch) { b.Chain = [][]byte{{1}} }), 400, "not a signed statement"},
			"another body":             {alfaRelay, ContentType, changed(func(b *wire.Batch) { b.Entries[0].Body = []byte("{}") }), 400, "not in the log"},
			"a larger index":           {alfaRelay, ContentType, changed(func(b *wire.Batch) { b.Entries[0].Index = 5 }), 400, "not in the log"},
			"another's signature": {alfaRelay, ContentType, with(func(f *forger) {
				f.identity = &testIdentity{pair: charlie.Leaf(t, testca.Leaf{Path: "/signing"})}
			}), 403, `signed by "charlie.example", not by "alfa.example"`},
			"an impostor's signature": {alfaRelay, ContentType, with(func(f *forger) {
				f.identity = &testIdentity{pair: charlie.Leaf(t, testca.Leaf{Path: "/signing", TrustDomain: "alfa.example"})}
			}), 403, "not trusted"},
			"the relay's key": {alfaRelay, ContentType, with(func(f *forger) {
				f.identity = &testIdentity{pair: w.alfa.ca.Leaf(t, testca.Leaf{Path: "/relay", Algorithm: testca.Ed25519})}
			}), 403, "not a signing certificate"},
			"a changed signature":       {alfaRelay, ContentType, changed(func(b *wire.Batch) { b.Checkpoint[len(b.Checkpoint)-10] ^= 1 }), 403, "the checkpoint is refused"},
			"the log of another line":   {alfaRelay, ContentType, with(func(f *forger) { f.origin = journal.Origin("alfa.example", "charlie.example") }), 403, "another log"},
			"the log of the other side": {alfaRelay, ContentType, with(func(f *forger) { f.origin = journal.Origin("bravo.example", "alfa.example") }), 403, "another log"},
		} {
			answer := post(t, w, tt.peer, tt.contentType, tt.body)
			var p problem.Details
			if err := json.Unmarshal(answer.Body.Bytes(), &p); err != nil {
				t.Errorf("%s: answer is %s", name, answer.Body)
			}
			if answer.Code != tt.status || p.Status != tt.status || !strings.Contains(p.Detail, tt.detail) || answer.Header().Get("Content-Type") != problem.ContentType {
				t.Errorf("%s: answer is %d %+v, want %d with %q", name, answer.Code, p, tt.status, tt.detail)
			}
		}
		if all := w.bravo.list(store.In); len(all) != 0 {
			t.Errorf("stored: %+v", all)
		}
		w.faults(func(step) outcome { return fails })
		if answer := post(t, w, alfaRelay, ContentType, good); answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), errDead.Error()) {
			t.Errorf("a fault of ours: %d %s", answer.Code, answer.Body)
		}
		w.faults(cut)
		if o := opened(t, w, post(t, w, alfaRelay, ContentType, good)); len(o.Entries) != 1 {
			t.Errorf("the good batch: %+v", o.Batch)
		}
	})
}

// TestInboxRefusesMessages shows each refusal of one message; the batch goes on.
func TestInboxRefusesMessages(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(cut)
		f := w.forges()
		own := mustJSON(t, payload("alfa.example", "bravo.example"))
		with := func(change func(*Payload)) []byte {
			p := payload("alfa.example", "bravo.example")
			change(&p)
			return mustJSON(t, p)
		}
		refused := func(name string, raw []byte, status int, detail string) {
			t.Helper()
			from := f.tree.N
			o := opened(t, w, post(t, w, alfaRelay, ContentType, f.batch(t, from, f.sayAfter(t, raw))))
			if len(o.Entries) != 0 || len(o.Refusals) != 1 || o.Refusals[0].Status != status || !strings.Contains(o.Refusals[0].Detail, detail) {
				t.Errorf("%s: answer has %d receipts, refusals %+v, want %d with %q", name, len(o.Entries), o.Refusals, status, detail)
			}
		}
		for name, tt := range map[string]struct {
			body   []byte
			detail string
		}{
			"another sender":             {with(func(p *Payload) { p.From = "charlie.example" }), "from: must be alfa.example"},
			"another receiver":           {with(func(p *Payload) { p.To = "charlie.example" }), "to: this is bravo.example"},
			"a newer version":            {with(func(p *Payload) { p.Version = 2 }), "version: must be 1"},
			"a bad id":                   {with(func(p *Payload) { p.ID = strings.ToLower(firstID) }), "id: must be a ULID"},
			"no serial":                  {with(func(p *Payload) { p.Serial = 0 }), "serial: must be"},
			"a huge serial":              {with(func(p *Payload) { p.Serial = 1<<53 + 1 }), "serial: must be"},
			"an ACK of nothing":          {with(func(p *Payload) { p.Kind = message.ACK }), "in_reply_to: is required"},
			"an ACK by nobody":           {with(func(p *Payload) { p.Kind, p.InReplyTo, p.Officer = message.ACK, firstID, "" }), "officer: is required"},
			"control characters":         {with(func(p *Payload) { p.Text = "\x1b[2J" }), "text: must be text"},
			"lines in the subject":       {with(func(p *Payload) { p.Subject = "a\nb" }), "subject: must be one line"},
			"a member twice":             {[]byte(strings.Replace(string(own), `{`, `{"serial":9,`, 1)), "reading message"},
			"no object":                  {[]byte("[]"), "reading message"},
			"something behind the value": {append(bytes.Clone(own), "{}"...), "reading message"},
		} {
			refused(name, tt.body, 422, tt.detail)
		}
		if all := w.bravo.list(store.In); len(all) != 0 {
			t.Errorf("stored: %+v", all)
		}
		from := f.tree.N
		if o := opened(t, w, post(t, w, alfaRelay, ContentType, f.batch(t, from, f.sayAfter(t, own)))); len(o.Entries) != 1 {
			t.Fatalf("the good message: %+v", o.Batch)
		}
		refused("other content under the same id", with(func(p *Payload) { p.Text = "other" }), 409, "another message is stored here")
		refused("another id under the same serial", with(func(p *Payload) { p.ID = ulidFor(1, 1) }), 409, "another message is stored here")
		// Twice in one batch: the second is a duplicate and gets the same receipt.
		twice := with(func(p *Payload) { p.ID, p.Serial = ulidFor(2, 2), 2 })
		from = f.tree.N
		a, b := f.sayAfter(t, twice), f.sayAfter(t, twice)
		if o := opened(t, w, post(t, w, alfaRelay, ContentType, f.batch(t, from, a, b))); len(o.Entries) != 2 || o.Entries[0].Index != o.Entries[1].Index {
			t.Errorf("a message twice in a batch: %+v", o.Batch)
		}
	})
}
