// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/deliver"
	"github.com/certlink/certlink/relay/feed"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/misp"
	"github.com/certlink/certlink/relay/preempt"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
	"github.com/certlink/certlink/relay/territory"
	"github.com/certlink/certlink/relay/tunnel"
)

// buildTraffic builds what the link is for.
func (r *relay) buildTraffic() (err error) {
	r.preempt = preempt.New()
	shared, err := lease.New(lease.Config{Store: r.store, Log: r.log})
	if err != nil {
		return err
	}
	if err := r.buildHotline(shared); err != nil {
		return err
	}
	r.territory, err = territory.NewKeeper(territory.Config{Log: r.log, Changed: r.changed, Registry: r.metrics})
	if err != nil {
		return err
	}
	r.feeds, err = feed.New(feed.Config{
		Store:    r.store,
		Identity: func() feed.Identity { return r.identity.Current() },
		Atlas:    r.territory.Current,
		Client:   r.offers.Guard(r.client(link.Feed)),
		Lead:     shared.Do,
		Notes:    r.store,
		Version:  release(),
		Log:      r.log,
		Changed:  r.changed,
		Preempt:  r.preempt,
		Registry: r.metrics,
	})
	if err != nil {
		return err
	}
	r.deliveries, err = deliver.New(deliver.Config{
		Store: r.store, Collection: feed.ImportCollection, Lead: shared.Do, Log: r.log, Changed: r.changed, Registry: r.metrics,
	})
	if err != nil {
		return err
	}
	r.misp, err = misp.NewServer(misp.ServerConfig{Store: r.store, Collection: feed.ImportCollection, Log: r.log, Registry: r.metrics})
	if err != nil {
		return err
	}
	r.territory.OnChange(func(*territory.Atlas) { r.feeds.TerritoryChanged() })
	r.tunnels, err = tunnel.New(tunnel.Config{Open: r.openTunnel, OpenParked: r.openParked, Changed: r.changed, Log: r.log, Metrics: r.metrics})
	return err
}

// openTunnel opens a stream for a tunnel to a peer with which we have a version of
// the protocol in common.
func (r *relay) openTunnel(ctx context.Context, trustDomain string) (*stream.Stream, error) {
	if err := r.offers.Allowed(trustDomain); err != nil {
		return nil, err
	}
	return r.pool.Open(ctx, trustDomain)
}

// openParked is openTunnel that does not wait; nil if no connection is parked.
func (r *relay) openParked(trustDomain string) *stream.Stream {
	if r.offers.Allowed(trustDomain) != nil {
		return nil
	}
	return r.pool.OpenParked(trustDomain)
}

// serveTunnel serves one of such a peer.
func (r *relay) serveTunnel(ctx context.Context, from access.Peer, s *stream.Stream) {
	if r.offers.Allowed(from.TrustDomain) != nil {
		s.Abort()
		return
	}
	r.tunnels.Serve(ctx, from, s)
}

// completeTunnels tells how many tunnels a drained peer still has.
func (r *relay) completeTunnels(p *report.Peer) {
	if p.State == string(config.Drained) {
		p.Tunnels = r.tunnels.Tunnels(p.Name)
	}
}
