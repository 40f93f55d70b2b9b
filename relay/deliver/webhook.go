// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
)

// The headers of a webhook's request. Authenticity is in HeaderSignature, as Sign
// makes it; the key for duplicates is in HeaderID.
const (
	HeaderID        = "Idempotency-Key"
	HeaderTimestamp = "Certlink-Timestamp"
	HeaderSignature = "Certlink-Signature"
	HeaderFeed      = "Certlink-Feed"
	HeaderDelivery  = "Certlink-Delivery"
)

// ContentType of a webhook's body: a STIX 2.1 bundle.
const ContentType = "application/stix+json;version=2.1"

// webhook posts batches to a URL.
type webhook struct {
	hook        *Hook
	maxAttempts int
	feed, name  string
}

func (w *worker) newTarget() (target, error) {
	if w.conf.TAXII != nil {
		return newCollection(w)
	}
	conf := w.conf.Webhook
	hook, err := NewHook(conf.Remote, conf.SecretFile, w.cfg.Log)
	if err != nil {
		return nil, err
	}
	h := &webhook{hook: hook, maxAttempts: int(conf.MaxAttempts), feed: w.feed, name: w.conf.Name}
	if h.maxAttempts <= 0 {
		h.maxAttempts = config.DefaultMaxAttempts
	}
	return h, nil
}

func (h *webhook) close() { h.hook.Close() }

// begin implements target.
func (h *webhook) begin(int) {}

// ended implements target: maxAttempts bounds what a batch costs.
func (h *webhook) ended() error { return nil }

// send implements target: the receiver takes all of a batch or nothing.
func (h *webhook) send(ctx context.Context, b batch, now time.Time) (map[int]string, error) {
	id := b.id(h.feed + "/" + h.name)
	body := b.bundle(id)
	header := http.Header{}
	header.Set("Content-Type", ContentType)
	header.Set(HeaderID, `"`+id+`"`)
	header.Set(HeaderFeed, h.feed)
	header.Set(HeaderDelivery, h.name)
	// 2xx is the answer, whatever else it says.
	return nil, h.hook.Post(ctx, header, body, now)
}

// verdict implements target.
func (h *webhook) verdict(err error, failures int) verdict {
	if told, ok := errors.AsType[*remote.StatusError](err); ok && told.Status == http.StatusRequestEntityTooLarge {
		return smaller
	}
	// Without our own key or credentials nothing was sent: that is no fault of the objects.
	if failures >= h.maxAttempts && !errors.Is(err, remote.ErrCredentials) {
		return hopeless
	}
	return again
}
