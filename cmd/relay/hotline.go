// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"

	"github.com/certlink/certlink/relay/attachment"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/transit"
)

// buildHotline builds what carries messages between duty officers, and what watches over them.
func (r *relay) buildHotline(shared *lease.Sharer) (err error) {
	if err := r.buildTransit(); err != nil {
		return err
	}
	if err := r.buildAttachments(shared); err != nil {
		return err
	}
	r.hotline, err = hotline.New(hotline.Config{
		Store:       r.store,
		Identity:    func() hotline.Identity { return r.identity.Current() },
		Client:      r.transit.Client,
		Lead:        shared.Do,
		Attachments: r.attachments,
		Lint: func(ctx context.Context, trustDomain string, m *message.Message) []string {
			return r.hotline.LintTerms(ctx, trustDomain, m)
		},
		Log:      r.log,
		Changed:  r.hotlineChanged,
		Preempt:  r.preempt,
		Registry: r.metrics,
	})
	if err != nil {
		return err
	}
	if err := r.buildEscalation(shared); err != nil {
		return err
	}
	if err := r.buildLineChecks(shared); err != nil {
		return err
	}
	if err := r.buildExercises(shared); err != nil {
		return err
	}
	r.hotlinePaths = r.offers.Gate(r.hotlineHandler())
	return r.buildCourier()
}

// hotlineHandler serves the paths of the hotline on the link port.
func (r *relay) hotlineHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(link.PathHotline, r.hotline.Handler())
	mux.Handle(attachment.Path, r.attachments.Handler())
	mux.Handle(transit.Path, r.transit.Handler())
	r.serveLineChecks(mux)
	return mux
}
