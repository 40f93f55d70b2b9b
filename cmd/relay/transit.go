// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/keyring"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/offer"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/transit"
)

// buildKeys builds what has the keys for sealing. It is local work on our own database.
func (r *relay) buildKeys() error {
	shared, err := lease.New(lease.Config{Store: r.store, Log: r.log})
	if err != nil {
		return err
	}
	r.keys, err = keyring.New(context.Background(), keyring.Config{
		Store: r.store,
		Vouched: func(statement []byte, at time.Time) (string, []byte, error) {
			return offer.SealKeyOf(r.identity.Current(), statement, at)
		},
		Lead:    shared.Do,
		Log:     r.log,
		Changed: func() { r.offers.KeyChanged() },
	})
	return err
}

// buildTransit builds the way of the hotline through other peers.
func (r *relay) buildTransit() (err error) {
	r.transit, err = transit.New(transit.Config{
		Identity: func() transit.Identity { return r.identity.Current() },
		Keys:     r.keys,
		Store:    r.store,
		Direct:   r.offers.Guard(r.client(link.Hotline)),
		Down:     r.linkDown,
		Carries:  r.offers.Carries,
		Through:  r.offers.Through,
		Serve:    http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.hotlinePaths.ServeHTTP(w, q) }),
		OnUp:     r.transitCameUp,
		Log:      r.log,
		Changed:  r.changed,
		Registry: r.metrics,
	})
	return err
}

// linkDown tells whether no direct path to a peer is up. What is not known yet is not down.
func (r *relay) linkDown(trustDomain string) bool {
	outbound, inbound, up := r.prober.View(trustDomain)
	return up == 0 && (outbound == report.Down || inbound == report.Down)
}

// transitCameUp ends the waiting of what could not be delivered.
func (r *relay) transitCameUp(trustDomain string) {
	r.attachments.Wake(trustDomain)
	r.hotline.Wake(trustDomain)
}

// withTransit tells how messages go while no direct path is up.
func (r *relay) withTransit(hotlines func(context.Context) ([]report.Hotline, error)) func(context.Context) ([]report.Hotline, error) {
	return func(ctx context.Context) ([]report.Hotline, error) {
		list, err := hotlines(ctx)
		for i := range list {
			r.transit.Complete(&list[i])
		}
		return list, err
	}
}
