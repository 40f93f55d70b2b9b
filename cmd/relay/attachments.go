// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/certlink/certlink/relay/attachment"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/report"
)

// buildAttachments builds what moves the files of hotline messages.
func (r *relay) buildAttachments(shared *lease.Sharer) (err error) {
	r.attachments, err = attachment.New(attachment.Config{
		Store:    r.store,
		Client:   r.transit.Client,
		Stored:   func(trustDomain string) { r.hotline.Stored(trustDomain) },
		Lead:     shared.Do,
		Log:      r.log,
		Changed:  r.changed,
		Registry: r.metrics,
	})
	return err
}

// withAttachments tells why attachments wait where nothing else is told of a hotline.
func (r *relay) withAttachments(hotlines func(context.Context) ([]report.Hotline, error)) func(context.Context) ([]report.Hotline, error) {
	return func(ctx context.Context) ([]report.Hotline, error) {
		list, err := hotlines(ctx)
		for i := range list {
			if list[i].Error == "" {
				list[i].Error = r.attachments.Trouble(list[i].Name)
			}
		}
		return list, err
	}
}
