// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/certlink/certlink/relay/check"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/feed"
	"github.com/certlink/certlink/relay/hotline"
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
	parts
	identity *identity.Source
	pool     *link.Pool
	prober   *probe.Prober
	checker  *check.Checker
	hotline  *hotline.Engine
	feeds    *feed.Engine
	reporter *reporter.Reporter
	peers    *link.Server
	local    *desk.Server
}

// runners are the parts that run.
func (r *relay) runners() []runner {
	return []runner{r.identity, r.pool, r.prober, r.hotline, r.feeds, r.reporter, r.peers, r.local}
}

// apply makes a configuration live. Who we are and whom we trust comes first, so
// that no part acts for a peer under trust that is out of date.
func (r *relay) apply(cfg *config.Config) error {
	if err := r.identity.Apply(cfg); err != nil {
		return err
	}
	r.pool.Apply(cfg)
	r.prober.Apply(cfg)
	r.checker.Apply(cfg)
	r.hotline.Apply(cfg)
	r.feeds.Apply(cfg)
	r.reporter.Changed()
	return nil
}

// assemble builds all parts and starts none.
func assemble(p parts) (*relay, error) {
	r := &relay{parts: p}
	for _, build := range []func() error{r.buildLink, r.buildTraffic, r.buildReport, r.buildPorts} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	r.identity.OnChange(r.identityChanged)
	return r, nil
}

// buildLink builds what the other parts reach peers with.
func (r *relay) buildLink() (err error) {
	if r.identity, err = identity.New(identity.Config{Log: r.log}); err != nil {
		return err
	}
	r.pool, err = link.NewPool(link.PoolConfig{Identity: r.identity, Log: r.log, Metrics: r.metrics})
	if err != nil {
		return err
	}
	r.prober, err = probe.New(probe.Config{
		Links:   r.pool,
		OnUp:    r.peerCameUp,
		Changed: r.changed,
		Log:     r.log,
		Metrics: r.metrics,
	})
	if err != nil {
		return err
	}
	r.checker, err = check.New(check.Config{
		Bundles: func() x509bundle.Source { return r.identity.Current() },
		Inspect: r.pool.Inspect,
		Ask:     r.prober.Ask,
	})
	return err
}

// buildTraffic builds what the link is for.
func (r *relay) buildTraffic() (err error) {
	r.hotline, err = hotline.New(hotline.Config{
		Store:    r.store,
		Identity: func() hotline.Identity { return r.identity.Current() },
		Client:   func(trustDomain string) *http.Client { return r.pool.Client(trustDomain, link.Hotline) },
		Log:      r.log,
		Changed:  r.changed,
		Registry: r.metrics,
	})
	if err != nil {
		return err
	}
	r.feeds, err = feed.New(feed.Config{
		Store:    r.store,
		Client:   func(trustDomain string) *http.Client { return r.pool.Client(trustDomain, link.Feed) },
		Log:      r.log,
		Changed:  r.changed,
		Registry: r.metrics,
	})
	return err
}

func (r *relay) buildReport() (err error) {
	r.reporter, err = reporter.New(reporter.Config{
		Version:  release(),
		Live:     r.live.State,
		Identity: r.identity.State,
		Peers:    r.prober.ReportPeers,
		Exports:  r.feeds.ReportExports,
		Imports:  r.feeds.ReportImports,
		Hotlines: r.hotline.ReportHotlines,
		Log:      r.log,
	})
	return err
}

func (r *relay) buildPorts() (err error) {
	r.peers, err = link.NewServer(link.ServerConfig{
		Listener: r.ports.link,
		Identity: r.identity,
		Pool:     r.pool,
		Handlers: map[link.Class]http.Handler{
			link.Probe:   r.prober,
			link.Hotline: r.hotline.Handler(),
			link.Feed:    r.feeds.LinkHandler(),
		},
		Heartbeats: r.prober.Heartbeats,
		Refused:    r.prober.Refused,
		Log:        r.log,
		Metrics:    r.metrics,
	})
	if err != nil {
		return err
	}
	r.local, err = desk.NewServer(desk.ServerConfig{
		Listener: r.ports.local,
		Identity: r.identity,
		Handler: desk.NewHandler(desk.Parts{
			Report: r.reporter, Hotline: r.hotline, TAXII: r.feeds.LocalHandler(), Checker: r.checker, Explainer: r.feeds, Log: r.log,
		}),
		Log:     r.log,
		Metrics: r.metrics,
	})
	return err
}

// changed tells the reporter that a part has something new.
func (r *relay) changed() { r.reporter.Changed() }

// peerCameUp ends the waiting of what could not be delivered.
func (r *relay) peerCameUp(p config.Peer) {
	r.hotline.Wake(p.TrustDomain)
	r.feeds.Wake(p.TrustDomain)
}

// identityChanged ends the waiting after a refusal that a new certificate mends.
func (r *relay) identityChanged(*identity.Snapshot) {
	r.hotline.WakeAll()
	r.feeds.WakeAll()
	r.reporter.Changed()
}
