// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// post brings a request to bravo as the link port does.
func post(t *testing.T, w *world, peer access.Peer, contentType string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	synctest.Wait() // the line is taken over, with which the replica forgets what it remembers
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
