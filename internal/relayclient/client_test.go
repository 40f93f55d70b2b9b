// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func answer(t *testing.T, w http.ResponseWriter, status int, body any) {
	t.Helper()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		t.Error(err)
	}
}

func empty(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(t, w, http.StatusOK, desk.MessageList{}) })
}

func TestOnlyOurOwnRelayIsTrusted(t *testing.T) {
	for name, test := range map[string]struct {
		leaf testca.Leaf
		want string
	}{
		"the_local_port":            {leaf: testca.Leaf{}},
		"the_link_port":             {leaf: testca.Leaf{Path: "/relay"}, want: "not of spiffe://alfa.example/local"},
		"another_trust_domain":      {leaf: testca.Leaf{TrustDomain: "bravo.example"}, want: "verifying the relay's certificate"},
		"an_expired_certificate":    {leaf: testca.Leaf{NotAfter: time.Now().Add(-time.Minute)}, want: "verifying the relay's certificate"},
		"a_desk_that_plays_a_relay": {leaf: testca.Leaf{Path: "/desk"}, want: "not of spiffe://alfa.example/local"},
	} {
		t.Run(name, func(t *testing.T) {
			relay := relaytest.New(t, empty(t), test.leaf)
			_, err := relay.Client(t, relaytest.Secret(t, relay.CA)).List(t.Context(), relayclient.Selection{})
			expect(t, err, test.want)
		})
	}
	t.Run("a_relay_of_another_CA_with_our_name", func(t *testing.T) {
		relay := relaytest.New(t, empty(t), testca.Leaf{})
		secret := relaytest.Secret(t, relay.CA)
		maps.Copy(secret, map[string][]byte{relayclient.KeyCA: relaytest.Secret(t, testca.New(t, relaytest.TrustDomain))[relayclient.KeyCA]})
		_, err := relay.Client(t, secret).List(t.Context(), relayclient.Selection{})
		expect(t, err, "verifying the relay's certificate")
	})
}

// expect checks an error's words; want "" is no error.
func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got error %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

func TestParseCredentials(t *testing.T) {
	good := relaytest.Secret(t, testca.New(t, relaytest.TrustDomain))
	for name, test := range map[string]struct {
		domain, key, value string
		want               string
	}{
		"accepts_the_Secret_of_a_desk":     {},
		"names_a_missing_key":              {key: relayclient.KeyPrivateKey, want: `key "tls.key" is missing or empty`},
		"refuses_another_private_key":      {key: relayclient.KeyPrivateKey, value: string(relaytest.Secret(t, testca.New(t, "bravo.example"))[relayclient.KeyPrivateKey]), want: "are not a certificate and its private key"},
		"refuses_a_CA_without_certificate": {key: relayclient.KeyCA, value: "hush", want: `key "ca.crt" holds no CA certificates`},
		"refuses_a_wrong_trust_domain":     {domain: "Not A Domain", want: `reading trust domain "Not A Domain"`},
	} {
		t.Run(name, func(t *testing.T) {
			secret := maps.Clone(good)
			if test.key != "" {
				secret[test.key] = []byte(test.value)
			}
			if test.domain == "" {
				test.domain = relaytest.TrustDomain
			}
			_, err := relayclient.ParseCredentials(test.domain, secret)
			expect(t, err, test.want)
			if err != nil && test.value != "" && strings.Contains(err.Error(), test.value) {
				t.Error("the error holds the key's content")
			}
		})
	}
}

func TestSend(t *testing.T) {
	var seen []desk.SendRequest
	refuse := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request desk.SendRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		seen = append(seen, request)
		if refuse != 0 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(refuse)
			io.WriteString(w, `{"title":"No room","status":507,"detail":"the volume is full: make room, then repeat"}`)
			return
		}
		answer(t, w, http.StatusCreated, desk.Message{ID: request.ID, Serial: 7, State: "Queued"})
	})
	relay := relaytest.New(t, handler, testca.Leaf{})
	client := relay.Client(t, relaytest.Secret(t, relay.CA))
	request := desk.SendRequest{Hotline: "bravo", Subject: "s", Text: "t", Officer: "o"}

	t.Run("repeats_under_the_same_id_after_a_broken_connection", func(t *testing.T) {
		relay.Break.Store(2)
		message, err := client.Send(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) != 1 || seen[0].ID == "" || message.ID != seen[0].ID {
			t.Errorf("the relay saw %v, the client %q", seen, message.ID)
		}
	})
	t.Run("keeps_the_id_that_the_caller_chose", func(t *testing.T) {
		request := request
		request.ID = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
		if message, err := client.Send(t.Context(), request); err != nil || message.ID != request.ID {
			t.Errorf("got %q, %v", message.ID, err)
		}
	})
	t.Run("tells_the_relay's_words_and_does_not_repeat_a_no", func(t *testing.T) {
		refuse, seen = http.StatusInsufficientStorage, nil
		_, err := client.Send(t.Context(), request)
		expect(t, err, "the relay answered 507: No room: the volume is full: make room, then repeat")
		if !relayclient.IsStatus(err, http.StatusInsufficientStorage) || len(seen) != 1 {
			t.Errorf("got %v after %d requests", err, len(seen))
		}
	})
}

func TestFind(t *testing.T) {
	var asked []string
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+desk.PathMessages, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		if r.URL.Query().Get("before") == "" {
			answer(t, w, http.StatusOK, desk.MessageList{Messages: []desk.Message{{ID: "3"}}, Next: 3})
			return
		}
		answer(t, w, http.StatusOK, desk.MessageList{Messages: []desk.Message{{ID: "2", Direction: "in", Peer: "bravo.example"}}})
	})
	mux.HandleFunc("GET "+desk.PathMessage, func(w http.ResponseWriter, r *http.Request) {
		answer(t, w, http.StatusOK, desk.Message{ID: r.PathValue("id"), Peer: r.PathValue("peer"), Receipt: "{}"})
	})
	client := relaytest.Desk(t, mux)
	found, err := client.Find(t.Context(), relayclient.In, "2")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(desk.Message{ID: "2", Peer: "bravo.example", Receipt: "{}"}, found); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"direction=in&id=2&limit=200", "before=3&direction=in&id=2&limit=200"}, asked); diff != "" {
		t.Error(diff)
	}
	_, err = client.Find(t.Context(), "", "1")
	expect(t, err, "no message has this id")
}

func TestTAXII(t *testing.T) {
	objects := []json.RawMessage{json.RawMessage(`{"id":"a--1",  "z":1, "b":2}`), json.RawMessage(`{"id":"a--2"}`)}
	polls := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /taxii2/local/collections/{c}/objects/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if want := `{"objects":[{"id":"a--1",  "z":1, "b":2},{"id":"a--2"}]}`; string(body) != want {
			t.Errorf("posted %s, want %s", body, want)
		}
		if got := r.Header.Get("Content-Type"); got != relayclient.MediaType {
			t.Errorf("Content-Type is %q", got)
		}
		answer(t, w, http.StatusAccepted, relayclient.Status{ID: "s", Status: "pending", PendingCount: 2})
	})
	mux.HandleFunc("GET /taxii2/local/status/s/", func(w http.ResponseWriter, _ *http.Request) {
		if polls++; polls < 3 {
			answer(t, w, http.StatusOK, relayclient.Status{ID: "s", Status: "pending", PendingCount: 2})
			return
		}
		answer(t, w, http.StatusOK, relayclient.Status{ID: "s", Status: "complete", SuccessCount: 2})
	})
	mux.HandleFunc("GET /taxii2/local/collections/{c}/objects/", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("c") != "f.s" {
			w.Header().Set("Content-Type", relayclient.MediaType)
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"title":"No such collection","http_status":"404","description":"you cannot see it"}`)
			return
		}
		w.Header().Set("X-TAXII-Date-Added-Last", "2026-01-01T00:00:00.000001Z")
		io.WriteString(w, `{"more":true,"next":"n1","objects":[{"id":"a--1",  "z":1}]}`)
	})
	client := relaytest.Desk(t, mux)

	t.Run("pushes_byte_for_byte_and_waits_for_the_status", func(t *testing.T) {
		status, err := client.Push(t.Context(), "f.s", objects)
		if err != nil {
			t.Fatal(err)
		}
		if status, err = client.AwaitPush(t.Context(), status); err != nil || status.SuccessCount != 2 || polls != 3 {
			t.Errorf("got %+v, %v after %d polls", status, err, polls)
		}
	})
	t.Run("reads_pages_byte_for_byte", func(t *testing.T) {
		page, err := client.Objects(t.Context(), "f.s", "", 0)
		if err != nil || page.Next != "n1" || string(page.Objects[0]) != `{"id":"a--1",  "z":1}` {
			t.Errorf("got %+v, %v", page, err)
		}
	})
	t.Run("refuses_a_page_that_leads_back_to_itself", func(t *testing.T) {
		_, err := client.Objects(t.Context(), "f.s", "n1", 0)
		expect(t, err, "does not say where they begin")
	})
	t.Run("tells_a_TAXII_error", func(t *testing.T) {
		_, err := client.Objects(t.Context(), "other", "", 0)
		expect(t, err, "the relay answered 404: No such collection: you cannot see it")
	})
}

func TestTrustIsReadToItsEnd(t *testing.T) {
	var asked []string
	stuck := false
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+desk.PathTrust, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		page := trust.Page{Records: []trust.Record{{Seq: int64(len(asked))}}, Total: 2, Last: "ab"}
		if len(asked) == 1 || stuck {
			page.Next = 1
		}
		answer(t, w, http.StatusOK, page)
	})
	client := relaytest.Desk(t, mux)
	page, err := client.Trust(t.Context(), "bravo.example")
	if err != nil || len(page.Records) != 2 || page.Last != "ab" || page.Total != 2 {
		t.Errorf("got %+v, %v", page, err)
	}
	if diff := cmp.Diff([]string{"limit=1024&subject=bravo.example", "after=1&limit=1024&subject=bravo.example"}, asked); diff != "" {
		t.Error(diff)
	}
	stuck = true
	_, err = client.Trust(t.Context(), "")
	expect(t, err, "do not move on")
}
