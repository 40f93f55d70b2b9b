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

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
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

func signed(t *testing.T, i Identity, raw []byte) []byte {
	t.Helper()
	jws, err := receipt.Sign(i, TypeMessage, raw)
	if err != nil {
		t.Fatal(err)
	}
	return jws
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

var alfaRelay = access.Peer{Name: "alfa", TrustDomain: "alfa.example", State: config.Active, Relay: true}

func TestInbox(t *testing.T) {
	bubble(t, "counts_the_serials_that_are_missing", func(t *testing.T, w *world) {
		for _, step := range []struct {
			serial  int64
			missing float64
		}{{4, 3}, {2, 2}, {1, 1}, {3, 0}} {
			p := payload("alfa.example", "bravo.example")
			p.ID, p.Serial = ulidFor(0, int(step.serial)), step.serial
			if answer := post(t, w, alfaRelay, ContentType, signed(t, w.alfa.who(), mustJSON(t, p))); answer.Code != http.StatusCreated {
				t.Fatalf("answer is %d %s", answer.Code, answer.Body)
			}
			name := w.bravo.report().Name
			if got := testutil.ToFloat64(w.bravo.engine().metrics.absent.WithLabelValues(name)); got != step.missing {
				t.Errorf("%v are missing after serial %d, want %v", got, step.serial, step.missing)
			}
		}
	})
	bubble(t, "stores_then_answers_with_a_receipt_and_repeats_it", func(t *testing.T, w *world) {
		p := payload("alfa.example", "bravo.example")
		body := signed(t, w.alfa.who(), mustJSON(t, p))
		first := post(t, w, alfaRelay, ContentType, body)
		if first.Code != http.StatusCreated || first.Header().Get("Content-Type") != ContentType {
			t.Fatalf("answer is %d %s", first.Code, first.Body)
		}
		<-time.After(time.Hour)
		again := post(t, w, alfaRelay, ContentType+"; charset=utf-8", body)
		if again.Code != http.StatusOK || !bytes.Equal(again.Body.Bytes(), first.Body.Bytes()) {
			t.Errorf("second answer is %d, the same receipt: %v", again.Code, bytes.Equal(again.Body.Bytes(), first.Body.Bytes()))
		}
		// After bravo's certificate was renewed the receipt says the same, signed anew.
		w.bravo.become(w.bravo.newIdentity(w.alfa.ca, w.bravo.ca))
		renewed := post(t, w, alfaRelay, ContentType, body)
		opened, err := receipt.Open(w.alfa.who(), TypeReceipt, renewed.Body.Bytes(), time.Now())
		content, _ := receipt.Content(first.Body.Bytes())
		if err != nil || !bytes.Equal(opened.Payload, content) || bytes.Equal(renewed.Body.Bytes(), first.Body.Bytes()) {
			t.Errorf("receipt after a renewal: %q, %v; want %q", opened.Payload, err, content)
		}
		if all := w.bravo.list(store.In); len(all) != 1 {
			t.Errorf("%d messages are stored", len(all))
		}
	})
	bubble(t, "keeps_what_it_does_not_know", func(t *testing.T, w *world) {
		raw := []byte(strings.Replace(string(mustJSON(t, payload("alfa.example", "bravo.example"))),
			`"kind":"INQUIRY"`, `"kind":"OF_THE_FUTURE","clearance":{"class":"Test"}`, 1))
		if answer := post(t, w, alfaRelay, ContentType, signed(t, w.alfa.who(), raw)); answer.Code != http.StatusCreated {
			t.Fatalf("answer is %d %s", answer.Code, answer.Body)
		}
		m, err := w.bravo.life().store.GetMessage(t.Context(), store.In, "alfa.example", firstID)
		if err != nil || !bytes.Equal(m.Payload, raw) {
			t.Errorf("stored payload is %s, %v", m.Payload, err)
		}
		if shown := w.bravo.list(store.In)[0]; shown.Kind != "OF_THE_FUTURE" || shown.State != "Received" {
			t.Errorf("shown is %+v", shown)
		}
	})
	bubble(t, "tells_of_a_new_message_once", func(t *testing.T, w *world) {
		body := signed(t, w.alfa.who(), mustJSON(t, payload("alfa.example", "bravo.example")))
		before := w.bravo.changes.Load()
		for range 3 {
			post(t, w, alfaRelay, ContentType, body)
		}
		if got := w.bravo.changes.Load() - before; got != 1 {
			t.Errorf("Changed was called %d times", got)
		}
	})
}

// TestInboxRefuses shows each refusal with its status, and that nothing was stored.
func TestInboxRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		charlie := testca.New(t, "charlie.example")
		w.bravo.become(w.bravo.newIdentity(w.alfa.ca, w.bravo.ca, charlie))
		alfa := w.alfa.who()
		with := func(change func(*Payload)) []byte {
			p := payload("alfa.example", "bravo.example")
			change(&p)
			return signed(t, alfa, mustJSON(t, p))
		}
		good := with(func(*Payload) {})
		forger := &testIdentity{pair: charlie.Leaf(t, testca.Leaf{Path: "/signing"})}
		impostor := &testIdentity{pair: charlie.Leaf(t, testca.Leaf{Path: "/signing", TrustDomain: "alfa.example"})}
		otherType, err := receipt.Sign(alfa, TypeReceipt, mustJSON(t, payload("alfa.example", "bravo.example")))
		if err != nil {
			t.Fatal(err)
		}
		own := mustJSON(t, payload("alfa.example", "bravo.example"))
		for name, tt := range map[string]struct {
			peer        access.Peer
			contentType string
			body        []byte
			status      int
			detail      string
		}{
			"nobody":                     {access.Peer{}, ContentType, good, 403, "only the relay of a peer"},
			"a peer's tool":              {access.Peer{TrustDomain: "alfa.example"}, ContentType, good, 403, "only the relay of a peer"},
			"a peer without a hotline":   {access.Peer{TrustDomain: "charlie.example", Relay: true}, ContentType, good, 403, "no Hotline for charlie.example"},
			"a content type":             {alfaRelay, "application/json", good, 415, ContentType},
			"no content type":            {alfaRelay, "", good, 415, ContentType},
			"a large body":               {alfaRelay, ContentType, bytes.Repeat([]byte("x"), receipt.MaxBytes+1), 413, "at most"},
			"rubbish":                    {alfaRelay, ContentType, []byte("rubbish"), 400, "not a signed statement"},
			"nothing":                    {alfaRelay, ContentType, nil, 400, "not a signed statement"},
			"a receipt":                  {alfaRelay, ContentType, otherType, 400, "another kind"},
			"another's signature":        {alfaRelay, ContentType, signed(t, forger, own), 403, "signed by charlie.example cannot come from alfa.example"},
			"an impostor's signature":    {alfaRelay, ContentType, signed(t, impostor, own), 403, "not trusted"},
			"a changed signature":        {alfaRelay, ContentType, append(good[:len(good)-4:len(good)-4], "AAAA"...), 403, "wrong signature"},
			"another sender":             {alfaRelay, ContentType, with(func(p *Payload) { p.From = "charlie.example" }), 422, "from: must be alfa.example"},
			"another receiver":           {alfaRelay, ContentType, with(func(p *Payload) { p.To = "charlie.example" }), 422, "to: this is bravo.example"},
			"a newer version":            {alfaRelay, ContentType, with(func(p *Payload) { p.Version = 2 }), 422, "version: must be 1"},
			"a bad id":                   {alfaRelay, ContentType, with(func(p *Payload) { p.ID = strings.ToLower(firstID) }), 422, "id: must be a ULID"},
			"no serial":                  {alfaRelay, ContentType, with(func(p *Payload) { p.Serial = 0 }), 422, "serial: must be"},
			"a huge serial":              {alfaRelay, ContentType, with(func(p *Payload) { p.Serial = 1<<53 + 1 }), 422, "serial: must be"},
			"an ACK of nothing":          {alfaRelay, ContentType, with(func(p *Payload) { p.Kind = message.ACK }), 422, "in_reply_to: is required"},
			"an ACK by nobody":           {alfaRelay, ContentType, with(func(p *Payload) { p.Kind, p.InReplyTo, p.Officer = message.ACK, firstID, "" }), 422, "officer: is required"},
			"control characters":         {alfaRelay, ContentType, with(func(p *Payload) { p.Text = "\x1b[2J" }), 422, "text: must be text"},
			"lines in the subject":       {alfaRelay, ContentType, with(func(p *Payload) { p.Subject = "a\nb" }), 422, "subject: must be one line"},
			"a member twice":             {alfaRelay, ContentType, signed(t, alfa, []byte(strings.Replace(string(own), `{`, `{"serial":9,`, 1))), 422, "reading message"},
			"no object":                  {alfaRelay, ContentType, signed(t, alfa, []byte("[]")), 422, "reading message"},
			"something behind the value": {alfaRelay, ContentType, signed(t, alfa, append(bytes.Clone(own), "{}"...)), 422, "reading message"},
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
		if answer := post(t, w, alfaRelay, ContentType, good); answer.Code != http.StatusCreated {
			t.Fatalf("the good message: %d %s", answer.Code, answer.Body)
		}
		if answer := post(t, w, alfaRelay, ContentType, with(func(p *Payload) { p.Text = "other" })); answer.Code != http.StatusConflict {
			t.Errorf("other content under the same id: %d %s", answer.Code, answer.Body)
		}
		if answer := post(t, w, alfaRelay, ContentType, with(func(p *Payload) { p.ID = ulidFor(1, 1) })); answer.Code != http.StatusConflict {
			t.Errorf("another id under the same serial: %d %s", answer.Code, answer.Body)
		}
		w.faults(func(step) outcome { return fails })
		if answer := post(t, w, alfaRelay, ContentType, with(func(p *Payload) { p.ID, p.Serial = ulidFor(2, 2), 2 })); answer.Code != http.StatusInternalServerError ||
			strings.Contains(answer.Body.String(), errDead.Error()) {
			t.Errorf("a fault of ours: %d %s", answer.Code, answer.Body)
		}
		w.faults(nil)
	})
}
