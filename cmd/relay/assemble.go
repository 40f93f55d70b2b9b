// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/attachment"
	"github.com/certlink/certlink/relay/check"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/courier"
	"github.com/certlink/certlink/relay/deliver"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/escalate"
	"github.com/certlink/certlink/relay/exercise"
	"github.com/certlink/certlink/relay/feed"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/keyring"
	"github.com/certlink/certlink/relay/linecheck"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/misp"
	"github.com/certlink/certlink/relay/offer"
	"github.com/certlink/certlink/relay/preempt"
	"github.com/certlink/certlink/relay/probe"
	"github.com/certlink/certlink/relay/reporter"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/territory"
	"github.com/certlink/certlink/relay/transit"
	"github.com/certlink/certlink/relay/trust"
	"github.com/certlink/certlink/relay/tunnel"
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
	trust    *trust.Keeper
	pool     *link.Pool
	offers   *offer.Engine
	prober   *probe.Prober
	checker  *check.Checker
	hotline  *hotline.Engine
	// lineChecks tests the paths of hotlines.
	lineChecks *linecheck.Engine
	exercises  *exercise.Engine
	// escalations tell people of silence on hotlines.
	escalations *escalate.Engine
	// attachments moves the files of its messages.
	attachments *attachment.Engine
	feeds       *feed.Engine
	// preempt lets FLASH go before feeds and before what is not FLASH.
	preempt *preempt.Gate
	tunnels *tunnel.Engine
	// keys are those to which relays seal; transit takes the hotline's requests through
	// other peers, and serves those that come so by hotlinePaths.
	keys         *keyring.Ring
	transit      *transit.Engine
	hotlinePaths http.Handler
	courier      *courier.Engine
	// deliveries hand imports on to systems of ours; misp serves them to those that read.
	deliveries *deliver.Engine
	misp       *misp.Server
	// territory is where feeds look up from where an object appears to emanate.
	territory *territory.Keeper
	reporter  *reporter.Reporter
	peers     *link.Server
	local     *desk.Server
}

// runners are the parts that run.
func (r *relay) runners() []runner {
	return []runner{
		r.identity, r.trust, r.pool, r.prober, r.offers, r.keys, r.transit, r.hotline, r.lineChecks, r.exercises, r.escalations, r.attachments, r.territory, r.feeds, r.deliveries, r.tunnels, r.reporter, r.peers, r.local,
		news{store: r.store, relay: r},
	}
}

// apply makes a configuration live. Who we are and whom we trust comes first, so
// that no part acts for a peer under trust that is out of date.
func (r *relay) apply(cfg *config.Config) error {
	if err := r.identity.Apply(cfg); err != nil {
		return err
	}
	r.local.Apply(cfg)
	r.pool.Apply(cfg)
	r.prober.Apply(cfg)
	r.offers.Apply(cfg)
	r.checker.Apply(cfg)
	r.transit.Apply(cfg)
	r.attachments.Apply(cfg) // before the messages, which wait for them
	r.hotline.Apply(cfg)
	r.lineChecks.Apply(cfg)
	r.exercises.Apply(cfg)
	r.escalations.Apply(cfg)
	r.courier.Apply(cfg)
	r.territory.Apply(cfg.Territory) // before the feeds, which decide by it
	r.feeds.Apply(cfg)
	r.deliveries.Apply(cfg)
	r.misp.Apply(cfg)
	r.tunnels.Apply(cfg)
	r.reporter.Changed()
	return nil
}

// assemble builds all parts and starts none.
func assemble(p parts) (*relay, error) {
	r := &relay{parts: p}
	for _, build := range []func() error{r.buildTrust, r.buildKeys, r.buildLink, r.buildTraffic, r.buildReport, r.buildPorts} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	r.identity.OnChange(r.identityChanged)
	return r, nil
}

// changed tells the reporter that a part has something new.
func (r *relay) changed() { r.reporter.Changed() }

// peerCameUp ends the waiting of what could not be delivered.
func (r *relay) peerCameUp(p config.Peer) {
	r.transit.Wake()
	r.attachments.Wake(p.TrustDomain)
	r.hotline.Wake(p.TrustDomain)
	r.lineChecks.Wake(p.TrustDomain)
	r.feeds.Wake(p.TrustDomain)
	r.offers.Wake(p.TrustDomain)
}

// identityChanged ends the waiting after a refusal that a new certificate mends.
func (r *relay) identityChanged(*identity.Snapshot) {
	r.attachments.WakeAll()
	r.hotline.WakeAll()
	r.feeds.WakeAll()
	r.reporter.Changed()
}
