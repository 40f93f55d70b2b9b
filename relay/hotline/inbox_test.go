// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

func payload(from, to string) Payload {
	return Payload{
		Version: Version, ID: firstID, Serial: 1, From: from, To: to, Conversation: "talk", Kind: "INQUIRY",
		Precedence: "ROUTINE", TLP: "AMBER", CreatedAt: time.Unix(1, 0).UTC(), Officer: "Officer One", Subject: "s", Text: "t", Language: "en",
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// forger is a log in memory that says what a test wants, under any signature.
type forger struct {
	identity Identity
	origin   string
	tree     tlog.Tree
	hashes   []tlog.Hash
	kinds    []journal.Kind
	bodies   [][]byte
	// change is made to each batch before it is encoded.
	change func(b *wire.Batch)
}

func (f *forger) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = f.hashes[at]
	}
	return out, nil
}

// say enters something and returns its index.
func (f *forger) say(t *testing.T, kind journal.Kind, body []byte) int64 {
	t.Helper()
	tree, added, err := journal.Grow(f.tree, []tlog.Hash{journal.LeafHash(kind, body)}, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range added {
		f.hashes = append(f.hashes, a.Hash)
	}
	f.tree, f.kinds, f.bodies = tree, append(f.kinds, kind), append(f.bodies, body)
	return tree.N - 1
}

// batch encodes entries under the present checkpoint, which continues a log of size from.
func (f *forger) batch(t *testing.T, from int64, indexes ...int64) []byte {
	t.Helper()
	chain, key := f.identity.SigningChain()
	signed, err := journal.Seal(journal.Checkpoint{Origin: f.origin, Tree: f.tree}, key)
	if err != nil {
		signed = []byte("no checkpoint")
	}
	b := &wire.Batch{Checkpoint: signed}
	for _, c := range chain {
		b.Chain = append(b.Chain, c.Raw)
	}
	p := wire.NewProver(b, f.tree, f)
	if err := p.Continue(from); err != nil {
		t.Fatal(err)
	}
	for _, i := range indexes {
		if err := p.Add(wire.Entry{Index: i, Kind: string(f.kinds[i]), Body: f.bodies[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if f.change != nil {
		f.change(b)
	}
	raw, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// forges is a log of alfa for bravo that the test writes itself.
func (w *world) forges() *forger {
	return &forger{identity: w.alfa.who(), origin: journal.Origin("alfa.example", "bravo.example")}
}

// message makes a batch of one message in a fresh log.
func (w *world) message(t *testing.T, raw []byte) []byte {
	t.Helper()
	f := w.forges()
	return f.batch(t, 0, f.say(t, journal.Message, raw))
}

// post brings a request to bravo as the link port does.
func post(t *testing.T, w *world, peer access.Peer, contentType string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(access.WithPeer(t.Context(), peer), http.MethodPost, Path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	recorder := httptest.NewRecorder()
	w.bravo.engine().Handler().ServeHTTP(recorder, r)
	return recorder
}

// opened is a good answer of bravo.
func opened(t *testing.T, w *world, answer *httptest.ResponseRecorder) *wire.Opened {
	t.Helper()
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != ContentType {
		t.Fatalf("answer is %d %s", answer.Code, answer.Body)
	}
	b, err := wire.Decode(answer.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := receipt.OpenChain(w.alfa.who(), b.Chain, time.Now())
	if err != nil || chain.TrustDomain != "bravo.example" {
		t.Fatalf("the answer is of %q, %v", chain.TrustDomain, err)
	}
	o, err := b.Open(journal.Origin("bravo.example", "alfa.example"), chain.Key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range o.Entries {
		if err := o.Check(&o.Entries[i]); err != nil {
			t.Error(err)
		}
	}
	return o
}

var alfaRelay = access.Peer{Name: "alfa", TrustDomain: "alfa.example", State: config.Active, Relay: true}

func TestInbox(t *testing.T) {
	bubble(t, "counts_the_serials_that_are_missing", func(t *testing.T, w *world) {
		w.faults(cut)
		f := w.forges()
		for _, step := range []struct {
			serial  int64
			missing float64
		}{{4, 3}, {2, 2}, {1, 1}, {3, 0}} {
			p := payload("alfa.example", "bravo.example")
			p.ID, p.Serial = ulidFor(0, int(step.serial)), step.serial
			from := f.tree.N
			if o := opened(t, w, post(t, w, alfaRelay, ContentType, f.batch(t, from, f.sayAfter(t, mustJSON(t, p))))); len(o.Entries) != 1 {
				t.Fatalf("answer is %+v", o.Batch)
			}
			name := w.bravo.report().Name
			if got := testutil.ToFloat64(w.bravo.engine().metrics.absent.WithLabelValues(name)); got != step.missing {
				t.Errorf("%v are missing after serial %d, want %v", got, step.serial, step.missing)
			}
		}
	})
	bubble(t, "stores_then_answers_with_a_receipt_and_repeats_it", func(t *testing.T, w *world) {
		w.faults(cut)
		body := w.message(t, mustJSON(t, payload("alfa.example", "bravo.example")))
		first := opened(t, w, post(t, w, alfaRelay, ContentType, body))
		<-time.After(time.Hour)
		again := opened(t, w, post(t, w, alfaRelay, ContentType+"; charset=utf-8", body))
		// After bravo's certificate was renewed the receipt is the same, under a checkpoint signed anew.
		w.bravo.become(w.bravo.newIdentity(w.alfa.ca, w.bravo.ca))
		renewed := opened(t, w, post(t, w, alfaRelay, ContentType, body))
		for _, o := range []*wire.Opened{first, again, renewed} {
			if len(o.Entries) != 1 || !bytes.Equal(o.Entries[0].Body, first.Entries[0].Body) || len(o.Refusals) != 0 {
				t.Errorf("answer is %+v", o.Batch)
			}
		}
		if bytes.Equal(renewed.Checkpoint, first.Checkpoint) || !bytes.Equal(again.Checkpoint, first.Checkpoint) {
			t.Error("the checkpoint is not that of the present certificate")
		}
		if all := w.bravo.list(store.In); len(all) != 1 {
			t.Errorf("%d messages are stored", len(all))
		}
	})
	bubble(t, "keeps_what_it_does_not_know", func(t *testing.T, w *world) {
		w.faults(cut)
		raw := []byte(strings.Replace(string(mustJSON(t, payload("alfa.example", "bravo.example"))),
			`"kind":"INQUIRY"`, `"kind":"OF_THE_FUTURE","clearance":{"class":"Test"}`, 1))
		opened(t, w, post(t, w, alfaRelay, ContentType, w.message(t, raw)))
		m, err := w.bravo.life().store.GetMessage(t.Context(), store.In, "alfa.example", firstID)
		if err != nil || !bytes.Equal(m.Payload, raw) {
			t.Errorf("stored payload is %s, %v", m.Payload, err)
		}
		if shown := w.bravo.list(store.In)[0]; shown.Kind != "OF_THE_FUTURE" || shown.State != "Received" {
			t.Errorf("shown is %+v", shown)
		}
	})
	bubble(t, "tells_of_a_new_message_once", func(t *testing.T, w *world) {
		w.faults(cut)
		synctest.Wait() // for what the sides say to each other first
		body := w.message(t, mustJSON(t, payload("alfa.example", "bravo.example")))
		before := w.bravo.changes.Load()
		for range 3 {
			post(t, w, alfaRelay, ContentType, body)
		}
		if got := w.bravo.changes.Load() - before; got != 1 {
			t.Errorf("Changed was called %d times", got)
		}
	})
	bubble(t, "holds_back_the_conversation_of_a_refused_message_only", func(t *testing.T, w *world) {
		w.faults(cut)
		f := w.forges()
		var indexes []int64
		for i, m := range []struct{ talk, to string }{{"a", "charlie.example"}, {"a", "bravo.example"}, {"b", "bravo.example"}} {
			p := payload("alfa.example", m.to)
			p.ID, p.Serial, p.Conversation = ulidFor(0, i), int64(i+1), m.talk
			indexes = append(indexes, f.say(t, journal.Message, mustJSON(t, p)))
		}
		o := opened(t, w, post(t, w, alfaRelay, ContentType, f.batch(t, 0, indexes...)))
		if len(o.Entries) != 1 || len(o.Refusals) != 2 || o.Refusals[0].Status != 422 || o.Refusals[1].Status != 424 {
			t.Errorf("answer is %+v", o.Batch)
		}
		if all := w.bravo.list(store.In); len(all) != 1 || all[0].Conversation != "b" {
			t.Errorf("stored are %+v", all)
		}
	})
}

// sayAfter enters a message.
func (f *forger) sayAfter(t *testing.T, raw []byte) int64 {
	t.Helper()
	return f.say(t, journal.Message, raw)
}

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

// TestInboxComparesHistories shows how the receiver stands to logs that are not what it holds.
func TestInboxComparesHistories(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(cut)
		say := func(f *forger, n int) int64 {
			p := payload("alfa.example", "bravo.example")
			p.ID, p.Serial = ulidFor(n/30, n%30), int64(n+1)
			return f.sayAfter(t, mustJSON(t, p))
		}
		f := w.forges()
		first := f.batch(t, 0, say(f, 0))
		second := f.batch(t, 1, say(f, 1))
		unlinked := f.batch(t, 0, say(f, 2))
		other := w.forges()
		say(other, 5)
		say(other, 6)
		forked := other.batch(t, 2, say(other, 7))
		for _, tt := range []struct {
			name  string
			body  []byte
			state string
			all   int
		}{
			{"the first", first, wire.Continues, 1},
			{"the second", second, wire.Continues, 2},
			{"the first again, which was overtaken by what is known to continue it", first, wire.Continues, 2},
			{"without proof", unlinked, wire.Unlinked, 2},
			{"another history", forked, wire.Forked, 2},
		} {
			o := opened(t, w, post(t, w, alfaRelay, ContentType, tt.body))
			if o.State != tt.state || len(w.bravo.list(store.In)) != tt.all {
				t.Errorf("%s: state is %q, %d stored; want %q and %d", tt.name, o.State, len(w.bravo.list(store.In)), tt.state, tt.all)
			}
			if o.State != wire.Continues && (len(o.Entries) != 0 || o.Held.Tree().N != 2) {
				t.Errorf("%s: answer is %+v", tt.name, o.Batch)
			}
		}
		if j := w.bravo.report().Journal; j.State != "PeerJournalForked" {
			t.Errorf("the journal is %+v", j)
		}
		// After a restart nothing is remembered: what is older than what is held is not taken.
		w.bravo.kill()
		w.bravo.start()
		if o := opened(t, w, post(t, w, alfaRelay, ContentType, first)); o.State != wire.Behind {
			t.Errorf("an older checkpoint: state is %q", o.State)
		}
	})
}
