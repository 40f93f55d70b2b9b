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

// serve runs a relay until the context ends or a part fails. Its health is served from the beginning,
// also while the database is waited for.
func serve(ctx context.Context, log *slog.Logger, l *live) error {
	listener, err := listenOn(ctx, "health", l.config().Listen.Health)
	if err != nil {
		return err
	}
	defer listener.Close()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	status := newHealth(listener, metrics, log)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return status.Run(ctx) })
	group.Go(func() error { return work(ctx, log, l, status) })
	err = group.Wait()
	log.Info("relay stopped")
	return err
}

// work opens the store and runs all parts until the context ends or one fails.
func work(ctx context.Context, log *slog.Logger, l *live, status *health) (err error) {
	db, err := awaitStore(ctx, log, l, status, openStore)
	if err != nil && ctx.Err() != nil {
		return nil // it was stopped while it waited
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }() // after all parts have ended
	cfg := l.config()
	ports, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	defer ports.close()
	r, err := assemble(parts{log: log, metrics: status.metrics, store: db, ports: ports, live: l})
	if err != nil {
		return err
	}
	if err := r.apply(cfg); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range r.runners() {
		group.Go(func() error { return part.Run(ctx) })
	}
	group.Go(func() error { return l.watch(ctx, log, r.apply, r.reporter.Changed) })
	status.turn("")
	context.AfterFunc(ctx, func() { status.turn(unready) })
	log.Info("relay started", "version", release(), "trust_domain", cfg.Identity.TrustDomain,
		"link", ports.link.Addr().String(), "local", ports.local.Addr().String(), "health", status.listener.Addr().String())
	return group.Wait()
}

// ports are the listeners of peers and of our own, open before anything runs, so that an address in
// use is told at once; not before the store is open, as who connects would wait for an answer.
type ports struct{ link, local net.Listener }

func listen(ctx context.Context, cfg config.Listen) (*ports, error) {
	p := &ports{}
	var err error
	if p.link, err = listenOn(ctx, "link", cfg.Link); err == nil {
		p.local, err = listenOn(ctx, "local", cfg.Local)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func listenOn(ctx context.Context, name, address string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // what we set and ask of connections is that of TCP
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on listen.%s: %w", name, err)
	}
	return listener, nil
}

// close closes what is open. Closing twice is harmless.
func (p *ports) close() {
	for _, l := range []net.Listener{p.link, p.local} {
		if l != nil {
			l.Close()
		}
	}
}
