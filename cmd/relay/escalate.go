// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/certlink/certlink/relay/escalate"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/report"
)

// buildEscalation builds what tells people that somebody is silent on a hotline.
func (r *relay) buildEscalation(shared *lease.Sharer) (err error) {
	r.escalations, err = escalate.New(escalate.Config{
		Store:       r.store,
		Line:        r.hotline,
		TrustDomain: func() string { return r.identity.Current().TrustDomain() },
		Lead:        shared.Do,
		Log:         r.log,
		Changed:     r.changed,
		Registry:    r.metrics,
	})
	return err
}

// hotlineChanged tells that a message came, went, or was acknowledged.
func (r *relay) hotlineChanged() {
	r.changed()
	r.escalations.Wake()
}

// withEscalations adds to the report of hotlines what is done about silence.
func (r *relay) withEscalations(hotlines func(context.Context) ([]report.Hotline, error)) func(context.Context) ([]report.Hotline, error) {
	return func(ctx context.Context) ([]report.Hotline, error) {
		list, err := hotlines(ctx)
		if err != nil {
			return nil, err
		}
		return list, r.escalations.Complete(ctx, list)
	}
}
