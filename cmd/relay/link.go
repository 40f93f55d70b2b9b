// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/certlink/certlink/relay/check"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/offer"
	"github.com/certlink/certlink/relay/probe"
	"github.com/certlink/certlink/relay/trust"
)

// buildTrust builds who we are and whom we trust.
func (r *relay) buildTrust() (err error) {
	if r.identity, err = identity.New(identity.Config{Log: r.log}); err != nil {
		return err
	}
	// It is local work on our own database, before anything runs that could end it.
	r.trust, err = trust.New(context.Background(), trust.Config{
		Store: r.store, Identity: r.identity, Log: r.log, Registry: r.metrics,
	})
	return err
}

// buildLink builds what the other parts reach peers with.
func (r *relay) buildLink() (err error) {
	r.pool, err = link.NewPool(link.PoolConfig{Identity: r.identity, Log: r.log, Metrics: r.metrics})
	if err != nil {
		return err
	}
	r.prober, err = probe.New(probe.Config{
		Links:     r.pool,
		Offer:     func(trustDomain string) string { return r.offers.Revision(trustDomain) },
		OfferSeen: func(trustDomain, revision string) { r.offers.OfferSeen(trustDomain, revision) },
		OnUp:      r.peerCameUp,
		Changed:   r.changed,
		Log:       r.log,
		Metrics:   r.metrics,
	})
	if err != nil {
		return err
	}
	r.offers, err = offer.New(offer.Config{
		Identity: r.identity,
		Keeper:   r.trust,
		Client:   r.client(link.Probe),
		SealKeys: r.keys,
		View:     r.prober.View,
		Release:  release(),
		Changed:  r.changed,
		Log:      r.log,
		Registry: r.metrics,
	})
	if err != nil {
		return err
	}
	r.checker, err = check.New(check.Config{
		Bundles: func() x509bundle.Source { return r.identity.Current() },
		Inspect: r.pool.Inspect,
		Paths:   r.pool.Paths,
		Ask:     r.prober.Ask,
	})
	return err
}

// client returns how a part reaches a peer in a class.
func (r *relay) client(class link.Class) func(trustDomain string) *http.Client {
	return func(trustDomain string) *http.Client { return r.pool.Client(trustDomain, class) }
}
