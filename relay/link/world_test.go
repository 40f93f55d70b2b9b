// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// side is one nation's link, without the rest of the relay.
type side struct {
	ca      *testca.CA
	dir     string
	cfg     *config.Config
	source  *identity.Source
	pool    *link.Pool
	metrics *prometheus.Registry
	address string
	// asked counts the requests that reached a handler, last is the peer of the last one.
	asked atomic.Int64
	last  atomic.Pointer[access.Peer]
	// beating counts the heartbeat connections of peers, beaten is the path of the last one.
	beating atomic.Int64
	beaten  atomic.Pointer[link.Path]
	// special, if set, answers in the place of the ordinary handler.
	special atomic.Pointer[http.HandlerFunc]
	// refused holds what the link port told of refused handshakes.
	refused chan string
}

// newSide runs a nation's link port and dialer until the test ends.
func newSide(t *testing.T, name string) *side {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newSideOn(t, name, listener)
}

// newSideOn is newSide with the link port on a listener.
func newSideOn(t *testing.T, name string, listener net.Listener) *side {
	t.Helper()
	s := &side{ca: testca.New(t, name+".example"), dir: t.TempDir(), refused: make(chan string, 64)}
	if err := s.ca.WriteNation(s.dir); err != nil {
		t.Fatal(err)
	}
	pair := func(which string) config.KeyPair {
		at := func(file string) string { return filepath.Join(s.dir, which, file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	s.cfg = &config.Config{Identity: config.Identity{
		TrustDomain: s.ca.TrustDomain, Link: pair("relay"), Local: pair("local"), Signing: pair("signing"),
	}}
	var err error
	if s.source, err = identity.New(identity.Config{Log: quiet}); err != nil {
		t.Fatal(err)
	}
	s.metrics = prometheus.NewRegistry()
	if s.pool, err = link.NewPool(link.PoolConfig{Identity: s.source, Log: quiet, Metrics: s.metrics}); err != nil {
		t.Fatal(err)
	}
	s.serve(t, listener)
	s.apply(t)
	return s
}

// serve starts the link port.
func (s *side) serve(t *testing.T, listener net.Listener) {
	t.Helper()
	s.address = listener.Addr().String()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		if peer, ok := access.PeerFrom(r.Context()); ok {
			s.last.Store(&peer)
		}
		if special := s.special.Load(); special != nil {
			(*special)(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/wait") {
			<-r.Context().Done() // as long as the connection lasts
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.WriteString(w, "hello")
	})
	server, err := link.NewServer(link.ServerConfig{
		Listener: listener, Identity: s.source, Pool: s.pool, Log: quiet, Metrics: prometheus.NewRegistry(),
		Handlers: map[link.Class]http.Handler{link.Probe: handler, link.Hotline: handler, link.Feed: handler},
		Tunnel: func(_ context.Context, _ access.Peer, st *stream.Stream) {
			defer st.Close()
			_, _ = io.Copy(st, st)
		},
		Heartbeats: func(ctx context.Context, _ access.Peer, at link.Path, _ report.TLS, beats net.Conn) {
			s.beating.Add(1)
			defer s.beating.Add(-1)
			s.beaten.Store(&at)
			defer context.AfterFunc(ctx, func() { beats.Close() })()
			_, _ = io.Copy(beats, beats)
		},
		Refused: func(trustDomain string, cause report.Cause, _ string) {
			select {
			case s.refused <- trustDomain + " " + string(cause):
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- server.Run(ctx) }()
	go func() { done <- s.pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func (s *side) apply(t *testing.T) {
	t.Helper()
	if err := s.source.Apply(s.cfg); err != nil {
		t.Fatal(err)
	}
	s.pool.Apply(s.cfg)
}

// meet makes each side the other's active peer.
func meet(t *testing.T) (alfa, bravo *side) {
	t.Helper()
	alfa, bravo = newSide(t, "alfa"), newSide(t, "bravo")
	alfa.knows(t, "bravo", bravo)
	bravo.knows(t, "alfa", alfa)
	return alfa, bravo
}

// oneWay is meet, but that bravo has no address of alfa.
func oneWay(t *testing.T) (alfa, bravo *side) {
	t.Helper()
	alfa, bravo = newSide(t, "alfa"), newSide(t, "bravo")
	bravo.expects(t, "alfa", alfa)
	alfa.knows(t, "bravo", bravo)
	return alfa, bravo
}

// expects makes the other side a peer that dials us.
func (s *side) expects(t *testing.T, name string, other *side) {
	t.Helper()
	s.join(t, name, other, nil)
}

func (s *side) knows(t *testing.T, name string, other *side) {
	t.Helper()
	s.join(t, name, other, []config.Endpoint{{Address: other.address}})
}

func (s *side) join(t *testing.T, name string, other *side, endpoints []config.Endpoint) {
	t.Helper()
	s.cfg.Peers = append(s.cfg.Peers, config.Peer{
		Name: name, TrustDomain: other.ca.TrustDomain, Bundle: other.ca.Bundle(), State: config.Active,
		Endpoints: endpoints,
	})
	s.apply(t)
}

// change makes a configuration of its own from the present one, as a reload does.
func (s *side) change(t *testing.T, mod func(*config.Peer)) {
	t.Helper()
	next := *s.cfg
	next.Peers = append([]config.Peer(nil), s.cfg.Peers...)
	mod(&next.Peers[0])
	s.cfg = &next
	s.apply(t)
}

// get asks the peer for a path.
func get(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp, err
}

// patience is how long a test waits for what must come, on a machine that does other things as well.
const patience = 30 * time.Second

// eventually polls a condition until it is true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if condition() {
			return
		}
	}
	t.Fatalf("not within %s: %s", patience, what)
}
