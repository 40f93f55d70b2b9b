// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/reporter"
)

func (r *relay) buildReport() (err error) {
	r.reporter, err = reporter.New(reporter.Config{
		Version:    release(),
		Live:       r.live.State,
		Identity:   r.identity.State,
		Peers:      r.prober.ReportPeers,
		Exports:    r.feeds.ReportExports,
		Imports:    r.feeds.ReportImports,
		Deliveries: r.deliveries.ReportDeliveries,
		Hotlines:   r.withLineChecks(r.withEscalations(r.withTransit(r.withAttachments(r.hotline.ReportHotlines)))),
		Services:   r.tunnels.ReportServices,
		Territory:  r.territory.ReportDatasets,
		Complete:   []func(*report.Peer){r.offers.Complete, r.completeTunnels},
		Log:        r.log,
	})
	return err
}

// guide answers questions about territory by what is live.
func (r *relay) guide() *desk.Guide {
	return &desk.Guide{Atlas: r.territory.Current, Peers: func() []config.Peer { return r.live.config().Peers }}
}

func (r *relay) buildPorts() (err error) {
	// Without a version of the protocol in common nothing flows but heartbeats and offers.
	probes := http.NewServeMux()
	probes.Handle(link.PathOffer, r.offers.Handler())
	probes.Handle(link.PathProbe, r.prober)
	r.peers, err = link.NewServer(link.ServerConfig{
		Listener: r.ports.link,
		Identity: r.identity,
		Pool:     r.pool,
		Handlers: map[link.Class]http.Handler{
			link.Probe:   probes,
			link.Hotline: r.hotlinePaths,
			link.Feed:    r.offers.Gate(r.feeds.LinkHandler()),
		},
		Heartbeats: r.prober.Heartbeats,
		Tunnel:     r.serveTunnel,
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
			Report: r.reporter, Hotline: r.hotline, TAXII: r.feeds.LocalHandler(), Checker: r.checker, Explainer: r.feeds, Puller: r.feeds, Quarantiner: r.feeds, Deliverer: r.deliveries, MISP: r.misp, Trust: r.trust, Journals: r.hotline, Couriers: r.courier, Drafts: r.hotline, Acts: r.hotline, Attachments: r.attachments, Glossaries: r.hotline, Escalations: r.escalations, LineChecks: r.lineChecks, Exercises: r.exercises, Guide: r.guide(), Log: r.log,
		}),
		Log:     r.log,
		Metrics: r.metrics,
	})
	return err
}
