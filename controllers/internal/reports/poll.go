// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reports

import (
	"context"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// Back-off between failed polls, and the pause after an answer, which bounds
// what a relay that never holds a request can cost us.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 3 * time.Second
	pause      = 100 * time.Millisecond
)

// Follow reads the reports of the relay of a namespace from now on. A target
// equal to the present one changes nothing.
func (h *Hub) Follow(namespace string, target Target) {
	h.mu.Lock()
	r := h.relay(namespace)
	if r.target != nil && r.target.equal(target) {
		h.mu.Unlock()
		return
	}
	another := r.target != nil && r.target.LocalCERT != target.LocalCERT
	if r.stop != nil {
		r.stop()
	}
	r.target = &target
	if another {
		r.report, r.written = nil, nil
	}
	if r.contact != Reached || another {
		r.contact, r.silent = Calling, h.cfg.Now()
	}
	if h.ctx != nil {
		h.startPolling(namespace, r)
	}
	h.mu.Unlock()
}

// startPolling begins to poll the target of a relay. The caller holds mu.
func (h *Hub) startPolling(namespace string, r *relay) {
	if h.ctx.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(h.ctx)
	r.stop = stop
	target := r.target
	h.polls.Go(func() { h.poll(ctx, namespace, target) })
}

// poll reads reports until ctx is done.
func (h *Hub) poll(ctx context.Context, namespace string, target *Target) {
	client, err := newReader(target)
	if err != nil {
		h.failed(namespace, target, err)
		return
	}
	defer client.close()
	since, retry := "", firstRetry
	for ctx.Err() == nil {
		got, err := client.read(ctx, since)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			h.failed(namespace, target, err)
			since = ""
			wait(ctx, retry)
			retry = min(2*retry, lastRetry)
		default:
			h.heard(namespace, target, got)
			if got != nil {
				since = got.Revision
			}
			retry = firstRetry
			wait(ctx, pause)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// heard keeps a report; nil means that the one we have is current.
func (h *Hub) heard(namespace string, target *Target, got *report.Report) {
	h.mu.Lock()
	r := h.relays[namespace]
	if r == nil || r.target != target {
		h.mu.Unlock()
		return
	}
	var changed changes
	switch {
	case r.contact != Reached:
		changed = everything()
	case got != nil:
		changed = compare(r.report, got)
	}
	r.contact, r.silent, r.err = Reached, time.Time{}, ""
	if got != nil {
		r.report = got
	}
	h.mu.Unlock()
	h.wake(namespace, changed)
}

// failed notes that a relay did not answer. It is news when it lasts.
func (h *Hub) failed(namespace string, target *Target, err error) {
	now := h.cfg.Now()
	h.mu.Lock()
	r := h.relays[namespace]
	if r == nil || r.target != target {
		h.mu.Unlock()
		return
	}
	r.err = err.Error()
	if r.silent.IsZero() {
		r.silent = now
	}
	lost := r.contact != Lost && now.Sub(r.silent) >= h.cfg.LostAfter
	if lost {
		r.contact = Lost
	}
	h.mu.Unlock()
	h.cfg.Log.Debug("relay did not give its report", "namespace", namespace, "address", target.Address, "error", err)
	if lost {
		h.cfg.Log.Info("relay lost", "namespace", namespace, "address", target.Address, "error", err)
		h.wake(namespace, everything())
	}
}
