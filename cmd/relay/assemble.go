// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/probe"
	"github.com/certlink/certlink/relay/reporter"
	"github.com/certlink/certlink/relay/store"
)

// parts are what a relay is made from.
type parts struct {
	log     *slog.Logger
	metrics prometheus.Registerer
	store   store.Store
	ports   *ports
	live    *live
}

// relay is the assembled parts.
type relay struct {
	identity *identity.Source
	prober   *probe.Prober
	reporter *reporter.Reporter
	runners  []runner
}

// apply makes a configuration live. Who we are and whom we trust comes first, so
// that no part acts for a peer under trust that is out of date.
func (r *relay) apply(cfg *config.Config) error {
	if err := r.identity.Apply(cfg); err != nil {
		return err
	}
	r.prober.Apply(cfg)
	r.reporter.Changed()
	return nil
}

// assemble builds all parts and starts none.
func assemble(p parts) (*relay, error) {
	r := &relay{}
	var err error
	if r.identity, err = identity.New(identity.Config{Log: p.log}); err != nil {
		return nil, err
	}
	dialer, err := link.NewDialer(link.DialerConfig{Identity: r.identity, Log: p.log, Metrics: p.metrics})
	if err != nil {
		return nil, err
	}
	r.prober, err = probe.New(probe.Config{
		Client:  dialer.PathClient,
		Path:    dialer.SetPath,
		Changed: func() { r.reporter.Changed() },
		Log:     p.log,
		Metrics: p.metrics,
	})
	if err != nil {
		return nil, err
	}
	r.reporter, err = reporter.New(reporter.Config{
		Version:  version(),
		Live:     p.live.State,
		Identity: r.identity.State,
		Peers:    r.prober.ReportPeers,
		Log:      p.log,
	})
	if err != nil {
		return nil, err
	}
	r.identity.OnChange(func(*identity.Snapshot) { r.reporter.Changed() })
	peers, err := link.NewServer(link.ServerConfig{
		Listener: p.ports.link,
		Identity: r.identity,
		Handlers: map[link.Class]http.Handler{link.Probe: r.prober},
		Refused:  r.prober.Refused,
		Log:      p.log,
		Metrics:  p.metrics,
	})
	if err != nil {
		return nil, err
	}
	local, err := desk.NewServer(desk.ServerConfig{
		Listener: p.ports.local,
		Identity: r.identity,
		Handler:  desk.NewHandler(desk.Parts{Report: r.reporter, TAXII: http.NotFoundHandler()}),
		Log:      p.log,
		Metrics:  p.metrics,
	})
	if err != nil {
		return nil, err
	}
	r.runners = []runner{r.identity, dialer, r.prober, r.reporter, peers, local}
	return r, nil
}
