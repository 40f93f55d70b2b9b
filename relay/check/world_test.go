// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/check"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/feed"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/probe"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// nation is a relay as cmd/relay assembles it, but for its local port.
type nation struct {
	ca      *testca.CA
	cfg     *config.Config
	address string
	// ahead is by how much its clock is ahead, in nanoseconds.
	ahead atomic.Int64
	// stopped is what its clock shows but for that; nil while it goes.
	stopped atomic.Pointer[time.Time]
	// inspecting is called before a connection for a probe is opened.
	inspecting func()

	source  *identity.Source
	pool    *link.Pool
	prober  *probe.Prober
	hotline *hotline.Engine
	feeds   *feed.Engine
	checker *check.Checker
}

func (n *nation) now() time.Time {
	now := time.Now()
	if at := n.stopped.Load(); at != nil {
		now = *at
	}
	return now.Add(time.Duration(n.ahead.Load()))
}

// newNation runs a nation's link port until the test ends.
func newNation(t *testing.T, name string) *nation {
	t.Helper()
	n := &nation{ca: testca.New(t, name+".example"), inspecting: func() {}}
	dir := t.TempDir()
	if err := n.ca.WriteNation(dir); err != nil {
		t.Fatal(err)
	}
	pair := func(which string) config.KeyPair {
		at := func(file string) string { return filepath.Join(dir, which, file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	n.cfg = &config.Config{Identity: config.Identity{
		TrustDomain: n.ca.TrustDomain, Link: pair("relay"), Local: pair("local"), Signing: pair("signing"),
	}}
	for _, build := range []func(*testing.T) error{n.buildLink, n.buildTraffic, n.buildChecker} {
		if err := build(t); err != nil {
			t.Fatal(err)
		}
	}
	n.serve(t)
	return n
}

func (n *nation) buildLink(*testing.T) (err error) {
	log := slog.New(slog.DiscardHandler)
	if n.source, err = identity.New(identity.Config{Log: log, Clock: n.now}); err != nil {
		return err
	}
	if n.pool, err = link.NewPool(link.PoolConfig{Identity: n.source, Log: log, Metrics: prometheus.NewRegistry()}); err != nil {
		return err
	}
	n.prober, err = probe.New(probe.Config{Links: n.pool, Clock: n.now, Log: log, Metrics: prometheus.NewRegistry()})
	return err
}

func (n *nation) buildTraffic(t *testing.T) error {
	kept, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		return err
	}
	t.Cleanup(func() { kept.Close() })
	n.hotline, err = hotline.New(hotline.Config{
		Store:    kept,
		Identity: func() hotline.Identity { return n.source.Current() },
		Client:   func(td string) *http.Client { return n.pool.Client(td, link.Hotline) },
	})
	if err != nil {
		return err
	}
	n.feeds, err = feed.New(feed.Config{Store: kept, Client: func(td string) *http.Client { return n.pool.Client(td, link.Feed) }})
	return err
}

func (n *nation) buildChecker(*testing.T) (err error) {
	n.checker, err = check.New(check.Config{
		Bundles: func() x509bundle.Source { return n.source.Current() },
		Inspect: func(ctx context.Context, at link.Path, class link.Class) (link.Sighting, *http.Client, func()) {
			if class == link.Probe {
				n.inspecting()
			}
			return n.pool.Inspect(ctx, at, class)
		},
		Paths: n.pool.Paths,
		Ask:   n.prober.Ask,
		Clock: n.now,
	})
	return err
}

func (n *nation) serve(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.address = listener.Addr().String()
	server, err := link.NewServer(link.ServerConfig{
		Listener: listener, Identity: n.source, Pool: n.pool, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Handlers: map[link.Class]http.Handler{link.Probe: n.prober, link.Hotline: n.hotline.Handler(), link.Feed: n.feeds.LinkHandler()},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.apply(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- server.Run(ctx) }()
	go func() { done <- n.pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// apply makes a copy of the configuration live, as a reload does.
func (n *nation) apply(t *testing.T) {
	t.Helper()
	live := *n.cfg
	live.Peers = append([]config.Peer(nil), n.cfg.Peers...)
	if err := n.source.Apply(&live); err != nil {
		t.Fatal(err)
	}
	n.pool.Apply(&live)
	n.prober.Apply(&live)
	n.hotline.Apply(&live)
	n.feeds.Apply(&live)
	n.checker.Apply(&live)
}

func (n *nation) change(t *testing.T, mod func(*config.Peer)) {
	t.Helper()
	mod(&n.cfg.Peers[0])
	n.apply(t)
}

// looksAt makes an address the only one of the peer.
func (n *nation) looksAt(t *testing.T, address string) {
	t.Helper()
	n.change(t, func(p *config.Peer) { p.Endpoints = []config.Endpoint{{Address: address}} })
}

// shows makes the nation show another certificate on its link port.
func (n *nation) shows(t *testing.T, leaf testca.Leaf) {
	t.Helper()
	n.ca.Leaf(t, leaf).WriteTo(t, filepath.Dir(n.cfg.Identity.Link.CertFile))
	n.apply(t)
}

// meet makes each nation the other's active peer, with a hotline between them.
func meet(t *testing.T) (alfa, bravo *nation) {
	t.Helper()
	alfa, bravo = newNation(t, "alfa"), newNation(t, "bravo")
	alfa.knows(t, "bravo", bravo)
	bravo.knows(t, "alfa", alfa)
	return alfa, bravo
}

func (n *nation) knows(t *testing.T, name string, other *nation) {
	t.Helper()
	n.cfg.Peers = append(n.cfg.Peers, config.Peer{
		Name: name, TrustDomain: other.ca.TrustDomain, Bundle: other.ca.Bundle(), State: config.Active,
		Endpoints: []config.Endpoint{{Address: other.address}},
		Detection: config.Detection{IntervalMilliseconds: 1000, Misses: 3},
	})
	n.cfg.Hotlines = append(n.cfg.Hotlines, config.Hotline{Name: name, Peer: name})
	n.apply(t)
}
