// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/link"
)

// buildHotline builds what carries messages between duty officers, and what watches over them.
func (r *relay) buildHotline(shared *lease.Sharer) (err error) {
	r.hotline, err = hotline.New(hotline.Config{
		Store:    r.store,
		Identity: func() hotline.Identity { return r.identity.Current() },
		Client:   r.offers.Guard(r.client(link.Hotline)),
		Lead:     shared.Do,
		Log:      r.log,
		Changed:  r.changed,
		Registry: r.metrics,
	})
	return err
}

// hotlineHandler serves the paths of the hotline on the link port.
func (r *relay) hotlineHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(link.PathHotline, r.hotline.Handler())
	return mux
}
