// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/deliver"
)

// receiver is an HTTPS server that keeps what it gets.
type receiver struct {
	*httptest.Server
	ca string

	mu     sync.Mutex // guards what follows
	status int
	heads  []http.Header
	paths  []string
	bodies [][]byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.heads, r.paths, r.bodies = append(r.heads, req.Header.Clone()), append(r.paths, req.URL.Path), append(r.bodies, body)
		w.WriteHeader(r.status)
	}))
	r.Config.ErrorLog = nil
	t.Cleanup(r.Close)
	r.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}))
	return r
}

func TestAWebhookIsSignedAndCarriesItsKey(t *testing.T) {
	r := newReceiver(t)
	c := config.Notifier{Name: "pager", Webhook: &config.NotifyWebhook{Remote: config.Remote{
		URL: r.URL + "/hooks", Directory: directory(t, map[string]string{"ca.crt": r.ca, "hmac": "key\n", "token": "t0ken"}),
	}}}
	n, err := New(c, nil, func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for range 2 {
		if err := n.Notify(t.Context(), silent()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(r.bodies[0], r.bodies[1]) {
		t.Error("the same notification is another body the second time")
	}
	h := r.heads[1]
	for name, want := range map[string]string{
		"Idempotency-Key": `"n-1"`, "Content-Type": "application/json", "Certlink-Event": "Escalated", "Certlink-Hotline": "to-bravo", "Authorization": "Bearer t0ken",
		"Certlink-Signature": deliver.Sign([]byte("key"), "1767355200", r.bodies[1]), "Certlink-Timestamp": "1767355200",
	} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, not %q", name, h.Get(name), want)
		}
	}
	var got Body
	if err := json.Unmarshal(r.bodies[0], &got); err != nil {
		t.Fatal(err)
	}
	want := Body{
		Version: 1, ID: "n-1", Event: Escalated, At: noon, From: "alfa.example", Hotline: "to-bravo", Peer: "bravo", PeerDomain: "bravo.example",
		Summary: "FLASH INQUIRY to bravo is not acknowledged (01J0000000000000000000000A), step wake", Items: silent().Items,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHTTPThatFailsSaysWhichLayer(t *testing.T) {
	r := newReceiver(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, tt := range map[string]struct {
		url    string
		files  map[string]string
		status int
		layer  Layer
		says   string
	}{
		"refused":        {r.URL, map[string]string{"ca.crt": r.ca}, 401, LayerLogin, "credentials"},
		"not_found":      {r.URL, map[string]string{"ca.crt": r.ca}, 404, LayerServer, "404"},
		"server_failing": {r.URL, map[string]string{"ca.crt": r.ca}, 500, LayerServer, "500"},
		"unknown_CA":     {r.URL, map[string]string{"hmac": "key"}, 200, LayerTLS, "ca.crt"},
		"empty_key":      {r.URL, map[string]string{"ca.crt": r.ca, "hmac": "\n"}, 200, LayerSecret, "hmac is empty"},
		"no_Secret":      {r.URL, map[string]string{}, 200, LayerSecret, "holds none of"},
		"nobody_there":   {gone.URL, nil, 200, LayerNetwork, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			r.mu.Lock()
			r.status = tt.status
			r.mu.Unlock()
			to := config.Remote{URL: tt.url}
			if tt.files != nil {
				to.Directory = directory(t, tt.files)
			}
			err := mustNotifier(t, config.Notifier{Webhook: &config.NotifyWebhook{Remote: to}}).Notify(t.Context(), silent())
			if err == nil {
				t.Fatal("it was taken")
			}
			if layer := LayerOf(err); layer != tt.layer || !strings.Contains(Explain(err), tt.says) {
				t.Errorf("layer %s, %q: %v", layer, Explain(err), err)
			}
		})
	}
}

func TestAlertmanagerGetsOneAlertForEachMessage(t *testing.T) {
	down, up := newReceiver(t), newReceiver(t)
	down.status = http.StatusBadRequest
	files := directory(t, map[string]string{"ca.crt": down.ca + up.ca})
	am := &config.Alertmanager{
		Servers: []config.Remote{{URL: down.URL + "/am/", Directory: files}, {URL: up.URL + "/am", Directory: files}},
		Labels:  []config.Label{{Name: "team", Value: "duty"}},
	}
	n := mustNotifier(t, config.Notifier{Alertmanager: am})
	for _, event := range []Event{Escalated, Settled, Delivered, Test} {
		if err := n.Notify(t.Context(), silent(func(n *Notification) {
			if n.Event = event; event == Test {
				n.Items = nil
			}
		})); err != nil {
			t.Fatalf("%s: %v", event, err)
		}
	}
	if len(down.bodies) != 4 || len(up.bodies) != 4 || up.paths[0] != "/am/api/v2/alerts" || down.paths[0] != up.paths[0] {
		t.Fatalf("%d and %d requests to %v", len(down.bodies), len(up.bodies), up.paths)
	}
	fires := map[int]time.Duration{0: AlertLasts, 1: 0, 2: messageLasts, 3: testLasts}
	var alerts [4]alert
	for i, body := range up.bodies {
		var list []alert
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&list); err != nil || len(list) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		if alerts[i] = list[0]; !list[0].EndsAt.Equal(noon.Add(fires[i])) || !list[0].StartsAt.Equal(noon) {
			t.Errorf("alert %d is from %v to %v", i, list[0].StartsAt, list[0].EndsAt)
		}
	}
	if diff := cmp.Diff(alerts[0].Labels, alerts[1].Labels); diff != "" {
		t.Errorf("what settles is another alert:\n%s", diff)
	}
	want := map[string]string{
		"alertname": AlertSilence, "severity": "critical", "team": "duty", "certlink_hotline": "to-bravo", "certlink_peer": "bravo", "certlink_from": "alfa.example",
		"certlink_message": "01J0000000000000000000000A", "certlink_direction": "out", "certlink_precedence": "FLASH", "certlink_stage": "Acknowledgement", "certlink_step": "wake",
	}
	if diff := cmp.Diff(want, alerts[0].Labels); diff != "" {
		t.Error(diff)
	}
	if alerts[3].Labels["alertname"] != AlertTest || !strings.Contains(alerts[3].Annotations["summary"], "TEST") {
		t.Errorf("the test is %+v", alerts[3])
	}
	up.mu.Lock()
	up.status = http.StatusInternalServerError
	up.mu.Unlock()
	if err := n.Notify(t.Context(), silent()); err == nil {
		t.Error("no member of the cluster took it, and it counts as told")
	}
}

func TestAnAlertEndsAfterItStartsThoughTheClockWasSetBack(t *testing.T) {
	a := &alertmanager{}
	n := silent(func(n *Notification) { n.Event, n.At = Settled, noon.Add(-24*time.Hour) })
	if got := a.alerts(n)[0]; got.EndsAt.Before(got.StartsAt) {
		t.Errorf("it starts at %v and ends at %v", got.StartsAt, got.EndsAt)
	}
}
