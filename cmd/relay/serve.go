// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/certlink/certlink/relay/config"
)

// runner is a part that blocks until its context ends, and then drains.
type runner interface {
	Run(ctx context.Context) error
}

// serve runs a relay until the context ends or a part fails.
func serve(ctx context.Context, log *slog.Logger, l *live) (err error) {
	cfg := l.config()
	db, err := openStore(ctx, cfg.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }() // after all parts have ended
	ports, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	defer ports.close()

	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r, err := assemble(parts{log: log, metrics: metrics, store: db, ports: ports, live: l})
	if err != nil {
		return err
	}
	if err := r.apply(cfg); err != nil {
		return err
	}
	status := &health{listener: ports.health, metrics: metrics, log: log}
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range append(r.runners(), status) {
		group.Go(func() error { return part.Run(ctx) })
	}
	group.Go(func() error { return l.watch(ctx, log, r.apply, r.reporter.Changed) })
	status.ready.Store(true)
	context.AfterFunc(ctx, func() { status.ready.Store(false) })
	log.Info("relay started", "version", release(), "trust_domain", cfg.Identity.TrustDomain,
		"link", ports.link.Addr().String(), "local", ports.local.Addr().String(), "health", ports.health.Addr().String())
	err = group.Wait()
	log.Info("relay stopped")
	return err
}

// ports are the three listeners, open before anything runs, so that an address in
// use is told at once.
type ports struct{ link, local, health net.Listener }

func listen(ctx context.Context, cfg config.Listen) (*ports, error) {
	p := &ports{}
	for _, port := range []struct {
		name, address string
		into          *net.Listener
	}{{"link", cfg.Link, &p.link}, {"local", cfg.Local, &p.local}, {"health", cfg.Health, &p.health}} {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false) // what we set and ask of connections is that of TCP
		listener, err := lc.Listen(ctx, "tcp", port.address)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("listening on listen.%s: %w", port.name, err)
		}
		*port.into = listener
	}
	return p, nil
}

// close closes what is open. Closing twice is harmless.
func (p *ports) close() {
	for _, l := range []net.Listener{p.link, p.local, p.health} {
		if l != nil {
			l.Close()
		}
	}
}
