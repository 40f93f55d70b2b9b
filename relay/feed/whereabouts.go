// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"encoding/json"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// whereabouts is what is known of an object on the peer's side.
type whereabouts struct {
	store.Progress
	// receiptTo is the position that the last receipt covers, receiptAt its time.
	receiptTo int64
	receiptAt time.Time
	refused   []store.Refusal
}

func (e *Engine) whereabouts(ctx context.Context, v store.View, object string) (whereabouts, error) {
	p, err := e.advance.current(ctx, v.Feed, v.Peer)
	if err != nil {
		return whereabouts{}, err
	}
	w := whereabouts{Progress: p}
	w.refused, err = e.cfg.Store.Refusals(ctx, v.Feed, v.Peer, object, maxVersions)
	if payload, bad := receipt.Content(p.Receipt); len(p.Receipt) > 0 && bad == nil {
		var a acknowledgement
		if json.Unmarshal(payload, &a) == nil {
			if at, bad := stix.ParseTime(a.Position); bad == nil {
				w.receiptTo, w.receiptAt = min(at.UnixMicro(), p.HandedTo), a.At
			}
		}
	}
	return w, err
}

// tell adds to a shared version how far it has come.
func (w whereabouts) tell(out *desk.WhyVersion, v store.Explained) {
	if out.Outcome != desk.Shared {
		return
	}
	at := v.SharedAt.UnixMicro()
	switch {
	case at <= w.receiptTo:
		out.Delivery, out.DeliveredAt = desk.Receipted, w.receiptAt
	case at <= w.ReceivedTo:
		out.Delivery, out.DeliveredAt = desk.CameBack, w.ReceivedAt
	case at <= w.SentTo:
		out.Delivery, out.DeliveredAt = desk.Sent, w.SentAt
	case at <= w.HandedTo:
		out.Delivery = desk.HandedOut
	default:
		out.Delivery = desk.Waiting
	}
	for _, r := range w.refused {
		// A refusal before it was shared this time was about what was there then.
		if r.Version.Equal(v.Version) && !r.At.Before(v.SharedAt) {
			out.Refused, out.RefusedAt = r.Reason, r.At
		}
	}
}
