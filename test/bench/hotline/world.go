// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/probe"
	"github.com/certlink/certlink/relay/store/sqlite"
	"github.com/certlink/certlink/test/bench/relays"
)

// side is what a relay is for its hotline: identity, store, link and engine, put together
// as cmd/relay does, in this process.
type side struct {
	store  *stamped
	engine *hotline.Engine
	pool   *link.Pool
	prober *probe.Prober
	// news gets a word when the engine says that something changed.
	news chan struct{}
	// end stops it and waits.
	end func()
}

// world is two of them, connected by mutual TLS over loopback.
type world struct{ alfa, bravo *side }

// found makes the certificates and starts both sides.
func found(ctx context.Context, dir string) (w *world, err error) {
	w = &world{}
	alfa, err := relays.New(ctx, dir, "alfa")
	if err != nil {
		return nil, err
	}
	bravo, err := relays.New(ctx, dir, "bravo")
	if err != nil {
		return nil, err
	}
	alfa.Config.Peers, bravo.Config.Peers = []config.Peer{bravo.Peer()}, []config.Peer{alfa.Peer()}
	alfa.Config.Hotlines = []config.Hotline{{Name: "bravo", Peer: "bravo"}}
	bravo.Config.Hotlines = []config.Hotline{{Name: "alfa", Peer: "alfa"}}
	if w.alfa, err = open(ctx, &alfa.Config); err != nil {
		return nil, err
	}
	if w.bravo, err = open(ctx, &bravo.Config); err != nil {
		w.alfa.end()
		return nil, err
	}
	return w, nil
}

func (w *world) stop() {
	w.alfa.end()
	w.bravo.end()
}

// open starts a side.
func open(ctx context.Context, c *config.Config) (s *side, err error) {
	c.SetDefaults()
	s = &side{news: make(chan struct{}, 1)}
	log, metrics := quiet(), prometheus.NewRegistry()
	who, err := identity.New(identity.Config{Log: log})
	if err != nil {
		return nil, err
	}
	if s.pool, err = link.NewPool(link.PoolConfig{Identity: who, Log: log, Metrics: metrics}); err != nil {
		return nil, err
	}
	if err := who.Apply(c); err != nil { // after the pool, which wants to know of it
		return nil, err
	}
	s.pool.Apply(c)
	if s.prober, err = probe.New(probe.Config{
		Links: s.pool, OnUp: func(p config.Peer) { s.engine.Wake(p.TrustDomain) }, Log: log, Metrics: metrics,
	}); err != nil {
		return nil, err
	}
	s.prober.Apply(c)
	if err := os.MkdirAll(filepath.Dir(c.Store.SQLite.Path), 0o700); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	opened, err := sqlite.Open(ctx, sqlite.Config{Path: c.Store.SQLite.Path})
	if err != nil {
		return nil, err
	}
	s.store = &stamped{Store: opened}
	if s.engine, err = hotline.New(hotline.Config{
		Store:    s.store,
		Identity: func() hotline.Identity { return who.Current() },
		Client:   func(trustDomain string) *http.Client { return s.pool.Client(trustDomain, link.Hotline) },
		Log:      log, Changed: s.changed, Registry: metrics,
	}); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.engine.Apply(c)
	port, err := s.serve(ctx, c.Listen.Link, who, log, metrics)
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.run(ctx, who.Run, s.pool.Run, s.prober.Run, s.engine.Run, port.Run)
	return s, nil
}

// serve listens on the link port.
func (s *side) serve(ctx context.Context, address string, who *identity.Source, log *slog.Logger, metrics prometheus.Registerer) (*link.Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return link.NewServer(link.ServerConfig{
		Listener: listener, Identity: who, Pool: s.pool, Log: log, Metrics: metrics,
		Handlers:   map[link.Class]http.Handler{link.Hotline: s.engine.Handler(), link.Probe: s.prober},
		Heartbeats: s.prober.Heartbeats, Refused: s.prober.Refused,
	})
}

// run runs parts until end is called.
func (s *side) run(ctx context.Context, parts ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "bench-hotline: a part of a relay ended:", err)
			}
		})
	}
	s.end = func() {
		cancel()
		running.Wait()
		_ = s.store.Close()
	}
}

// changed must not block: it is called from within the engine.
func (s *side) changed() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// await returns when a condition is met. It looks when the engine says that something
// changed, and, should it not say so, each millisecond.
func (s *side) await(ctx context.Context, met func() (bool, error)) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := met(); ok || err != nil {
			return err
		}
		select {
		case <-s.news:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func quiet() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}
