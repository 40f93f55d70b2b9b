// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// way plays the network and the peer behind it.
type way struct {
	mu    sync.Mutex
	err   error         // what a probe ends with; nil answers
	cut   bool          // probes vanish
	delay time.Duration // of an answer
	seen  []Request
}

func (w *way) set(f func(*way)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	var req Request
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.seen = append(w.seen, req)
	cut, err, delay := w.cut, w.err, w.delay
	w.mu.Unlock()
	if cut {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	time.Sleep(delay) //nolint:forbidigo // the round trip, in the time of the bubble
	body, _ := json.Marshal(Answer{Seq: req.Seq, ReceivedAt: time.Now(), View: View{Outbound: report.Up, Seen: req.Seq}})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// bench is a running prober with two ways to bravo.
type bench struct {
	*Prober
	ways    map[string]*way
	changes int
	ups     int
	cfg     config.Config
}

// setup runs a prober in the bubble of the test, until the test ends it.
func setup(t *testing.T, mod func(*config.Peer)) *bench {
	t.Helper()
	b := &bench{ways: map[string]*way{"one:1": {}, "two:2": {}}}
	var mu sync.Mutex
	p, err := New(Config{
		Client: func(_, address string) *http.Client { return &http.Client{Transport: b.ways[address]} },
		OnUp: func(config.Peer) {
			mu.Lock()
			defer mu.Unlock()
			b.ups++
		},
		Changed: func() {
			mu.Lock()
			defer mu.Unlock()
			b.changes++
		},
		Log:     slog.New(slog.DiscardHandler),
		Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Prober = p
	b.cfg = config.Config{Peers: []config.Peer{{
		Name: "bravo", TrustDomain: "bravo.example", State: config.Active,
		Endpoints: []config.Endpoint{{Address: "one:1"}},
		Detection: config.Detection{IntervalMilliseconds: 1000, Misses: 3},
	}}}
	if mod != nil {
		mod(&b.cfg.Peers[0])
	}
	p.Apply(&b.cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) peer(t *testing.T) report.Peer {
	t.Helper()
	synctest.Wait()
	peers, err := b.ReportPeers(t.Context())
	if err != nil || len(peers) != 1 {
		t.Fatalf("ReportPeers = %v, %v", peers, err)
	}
	return peers[0]
}

// sleep lets the time of the bubble pass.
func sleep(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
	synctest.Wait()
}

// ask plays a probe of the peer.
func (b *bench) ask(t *testing.T, req Request) *httptest.ResponseRecorder {
	t.Helper()
	body, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(access.WithPeer(t.Context(), access.Peer{Name: "bravo", TrustDomain: "bravo.example", Relay: true}),
		http.MethodPost, link.PathProbe, bytes.NewReader(body))
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func TestACutIsNoticedWithinTheDeclaredBudget(t *testing.T) {
	for _, d := range []config.Detection{
		{IntervalMilliseconds: 200, Misses: 1}, {IntervalMilliseconds: 200, Misses: 20},
		{IntervalMilliseconds: 1000, Misses: 3}, {IntervalMilliseconds: 5000, Misses: 2}, {IntervalMilliseconds: 60_000, Misses: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, func(p *config.Peer) { p.Detection = d })
			b.ways["one:1"].set(func(w *way) { w.delay = 150 * time.Millisecond })
			sleep(2 * interval(d))
			if state := b.peer(t).Outbound.State; state != report.Up {
				t.Fatalf("before the cut: %s", state)
			}
			sleep(interval(d) / 3)
			b.ways["one:1"].set(func(w *way) { w.cut = true })
			cut := time.Now()
			for b.peer(t).Outbound.State == report.Up {
				sleep(10 * time.Millisecond)
				if took := time.Since(cut); took > budget(d) {
					t.Fatalf("%v: not noticed after %s, budget %s", d, took, budget(d))
				}
			}
			if took := time.Since(cut); took < time.Duration(d.Misses)*interval(d)/2 {
				t.Errorf("%v: noticed after %s, before the misses", d, took)
			}
		})
	}
}

func TestALateAnswerIsNoMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(p *config.Peer) { p.Detection = config.Detection{IntervalMilliseconds: 200, Misses: 1} })
		b.ways["one:1"].set(func(w *way) { w.delay = 1900 * time.Millisecond })
		sleep(10 * time.Second)
		p := b.peer(t)
		if p.Outbound.State != report.Up || p.Paths[0].RoundTripMilliseconds < 1500 {
			t.Errorf("%+v", p)
		}
	})
}

func TestOneOfTwoPathsKeepsTheLinkUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(p *config.Peer) {
			p.Endpoints = []config.Endpoint{{Address: "one:1"}, {Address: "two:2"}}
		})
		sleep(time.Second)
		since := b.peer(t).Outbound.Since
		b.ways["one:1"].set(func(w *way) {
			w.err = &link.Error{Cause: report.CauseUnreachable, Message: "one:1: connection refused"}
		})
		sleep(10 * time.Second)
		p := b.peer(t)
		if p.Outbound.State != report.Up || !p.Outbound.Since.Equal(since) {
			t.Errorf("outbound %+v", p.Outbound)
		}
		if p.Paths[0].State != report.Down || p.Paths[0].Message == "" || p.Paths[1].State != report.Up {
			t.Errorf("paths %+v", p.Paths)
		}
	})
}

func TestSteadyStateIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		sleep(10 * time.Second)
		before := b.changes
		sleep(time.Minute)
		if b.changes != before {
			t.Errorf("%d changes in a minute in which nothing changed", b.changes-before)
		}
		if b.ups != 1 {
			t.Errorf("OnUp was called %d times", b.ups)
		}
	})
}

func TestInboundFollowsThePeersProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		if s := b.peer(t).Inbound.State; s != report.Unknown {
			t.Fatalf("at first %s", s)
		}
		sleep(7 * time.Second)
		if in := b.peer(t).Inbound; in.State != report.Down || in.Cause != report.CauseSilent {
			t.Fatalf("after our budget %+v", in)
		}
		w := b.ask(t, Request{Seq: 1, IntervalMilliseconds: 200, Misses: 1, View: View{Outbound: report.Up}})
		var answer Answer
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || answer.Seq != 1 || answer.View.Seen != 1 {
			t.Fatalf("answer %d %s", w.Code, w.Body)
		}
		if s := b.peer(t).Inbound.State; s != report.Up {
			t.Fatalf("after a probe %s", s)
		}
		sleep(2600 * time.Millisecond)
		if s := b.peer(t).Inbound.State; s != report.Down {
			t.Errorf("after the peer's budget %s", s)
		}
	})
}

func TestAPeerWithoutAddressCountsByItsOwnProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(p *config.Peer) { p.Endpoints = nil })
		b.ask(t, Request{Seq: 1, IntervalMilliseconds: 1000, Misses: 3})
		p := b.peer(t)
		if p.Outbound.State != report.Unknown || p.Outbound.Cause != report.CauseNoEndpoints || p.Inbound.State != report.Up {
			t.Errorf("%+v", p)
		}
	})
}

func TestARevokedPeerIsNotProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		sleep(5 * time.Second)
		b.cfg.Peers[0].State = config.Revoked
		b.Apply(&b.cfg)
		synctest.Wait()
		asked := len(b.ways["one:1"].seen)
		sleep(10 * time.Second)
		if now := len(b.ways["one:1"].seen); now != asked {
			t.Errorf("%d probes after the revocation", now-asked)
		}
		if p := b.peer(t); p.Outbound.State != report.Down || !strings.Contains(p.Outbound.Message, "Revoked") {
			t.Errorf("%+v", p.Outbound)
		}
	})
}

func TestAMessageThatStaysTheSameIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.ways["one:1"].set(func(w *way) { w.err = &link.Error{Cause: report.CauseUntrusted, Message: "no chain"} })
		sleep(10 * time.Second)
		before := b.changes
		sleep(time.Minute)
		if b.changes != before {
			t.Errorf("%d changes while the fault stayed the same", b.changes-before)
		}
		if out := b.peer(t).Outbound; out.Cause != report.CauseUntrusted || out.Message != "no chain" {
			t.Errorf("%+v", out)
		}
	})
}

func TestHandlerRefusesWhatIsNoProbe(t *testing.T) {
	p, err := New(Config{Client: func(string, string) *http.Client { return nil }, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(&config.Config{Peers: []config.Peer{{Name: "bravo", TrustDomain: "bravo.example"}}})
	known := access.WithPeer(t.Context(), access.Peer{Name: "bravo", TrustDomain: "bravo.example"})
	gone := access.WithPeer(t.Context(), access.Peer{Name: "charlie", TrustDomain: "charlie.example"})
	for _, c := range []struct {
		name         string
		ctx          context.Context
		method, path string
		body         string
		want         int
	}{
		{"from_nobody", t.Context(), http.MethodPost, link.PathProbe, `{"seq":1}`, http.StatusForbidden},
		{"from_a_peer_that_is_gone", gone, http.MethodPost, link.PathProbe, `{"seq":1}`, http.StatusForbidden},
		{"to_another_path", known, http.MethodPost, link.PathProbe + "s", `{"seq":1}`, http.StatusNotFound},
		{"by_GET", known, http.MethodGet, link.PathProbe, "", http.StatusMethodNotAllowed},
		{"without_a_number", known, http.MethodPost, link.PathProbe, `{}`, http.StatusBadRequest},
		{"that_is_no_JSON", known, http.MethodPost, link.PathProbe, `{`, http.StatusBadRequest},
		{"that_is_too_long", known, http.MethodPost, link.PathProbe, `{"seq":1,"x":"` + strings.Repeat("x", maxBody) + `"}`, http.StatusRequestEntityTooLarge},
		{"is_answered_otherwise", known, http.MethodPost, link.PathProbe, `{"seq":1}`, http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequestWithContext(c.ctx, c.method, c.path, strings.NewReader(c.body)))
			if w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
		})
	}
}

func FuzzHandler(f *testing.F) {
	f.Add([]byte(`{"seq":1,"sentAt":"2026-01-01T00:00:00Z","intervalMilliseconds":1000,"misses":3,"view":{"outbound":"Up","seen":4}}`))
	p, err := New(Config{Client: func(string, string) *http.Client { return nil }, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		f.Fatal(err)
	}
	p.Apply(&config.Config{Peers: []config.Peer{{Name: "bravo", TrustDomain: "bravo.example"}}})
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx := access.WithPeer(t.Context(), access.Peer{Name: "bravo", TrustDomain: "bravo.example"})
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, link.PathProbe, bytes.NewReader(body)))
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", w.Code)
		}
	})
}
