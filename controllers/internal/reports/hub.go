// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package reports keeps, for each namespace, what the operator knows of its
// relay: the configurations written for it and the relay's latest report, which
// one goroutine for each relay long-polls.
//
// It promises that a change of a report wakes the reconcilers of exactly the
// objects that it is about; that a short silence of a relay, as by a restart,
// is no news; and that what was never looked at is not reported as bad. It
// writes nothing to the API server, and keeps everything in memory: after a
// restart it knows nothing and says so (Unseen).
package reports

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// DefaultLostAfter is how long a relay may be silent before it counts as lost.
const DefaultLostAfter = 10 * time.Second

// Contact is how we stand with a relay.
type Contact int

// The contacts.
const (
	// Unseen: this operator has not looked yet.
	Unseen Contact = iota
	// Undeployed: there is no relay to ask yet.
	Undeployed
	// Calling: we have not reached the relay yet, but not for long.
	Calling
	// Reached: the report is current.
	Reached
	// Lost: the relay has been silent for too long.
	Lost
)

// View is what is known of the relay of one namespace. It is a snapshot;
// nothing in it may be changed.
type View struct {
	// Contact with the relay.
	Contact Contact
	// Error of the last attempt to read the report, when not Reached.
	Error string
	// Report read last; nil before the first.
	Report *report.Report
	// Wanted is the configuration written last for the relay; nil when unknown.
	Wanted *config.Config
	// Checksum of Wanted as written.
	Checksum string
	// WrittenAt is when Wanted was first written, or first seen by this operator.
	WrittenAt time.Time
	// Live is the configuration that the relay runs, nil when it is none that we know.
	Live *config.Config
}

// Config of a Hub.
type Config struct {
	Log *slog.Logger
	// Now is the clock.
	Now func() time.Time
	// LostAfter is how long a relay may be silent before it counts as lost. Zero
	// means DefaultLostAfter.
	LostAfter time.Duration
}

// Hub knows the relays of all namespaces. It is safe concurrently.
type Hub struct {
	cfg Config

	mu          sync.Mutex
	ctx         context.Context // of Start; nil before
	relays      map[string]*relay
	subscribers map[Kind][]func(namespace, name string)
	polls       sync.WaitGroup
}

// written is a configuration that was written for a relay.
type written struct {
	checksum string
	config   *config.Config
	at       time.Time
}

// relay is what is known of one relay; guarded by Hub.mu.
type relay struct {
	contact Contact
	silent  time.Time // since when nothing was heard; zero when Reached
	err     string
	report  *report.Report
	written []written // the newest last, at most maxWritten
	target  *Target
	stop    context.CancelFunc
}

// maxWritten configurations are remembered, so that a relay that is a few
// changes behind can still be understood.
const maxWritten = 8

// NewHub returns a Hub. It polls nobody before Start.
func NewHub(cfg Config) *Hub {
	if cfg.LostAfter == 0 {
		cfg.LostAfter = DefaultLostAfter
	}
	return &Hub{
		cfg:         cfg,
		relays:      map[string]*relay{},
		subscribers: map[Kind][]func(string, string){},
	}
}

// Start polls the relays until ctx is done. It implements manager.Runnable.
func (h *Hub) Start(ctx context.Context) error {
	h.mu.Lock()
	h.ctx = ctx
	for namespace, r := range h.relays {
		if r.target != nil {
			h.startPolling(namespace, r)
		}
	}
	h.mu.Unlock()
	<-ctx.Done()
	// Whoever sets a target from now on finds its context done.
	h.polls.Wait()
	return nil
}

// View returns what is known of the relay of a namespace.
func (h *Hub) View(namespace string) View {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.relays[namespace]
	if r == nil {
		return View{}
	}
	v := View{Contact: r.contact, Error: r.err, Report: r.report}
	if n := len(r.written); n > 0 {
		last := r.written[n-1]
		v.Wanted, v.Checksum, v.WrittenAt = last.config, last.checksum, last.at
	}
	if r.report != nil {
		for _, w := range r.written {
			if w.checksum == r.report.Config.Checksum {
				v.Live = w.config
			}
		}
	}
	return v
}

// Written tells that a configuration is what the relay of a namespace should
// run. The configuration must not be changed afterwards.
func (h *Hub) Written(namespace, checksum string, cfg *config.Config) {
	h.mu.Lock()
	r := h.relay(namespace)
	if n := len(r.written); n > 0 && r.written[n-1].checksum == checksum {
		h.mu.Unlock()
		return
	}
	r.written = append(r.written, written{checksum: checksum, config: cfg, at: h.cfg.Now()})
	if len(r.written) > maxWritten {
		r.written = r.written[1:]
	}
	h.mu.Unlock()
	h.wake(namespace, everything())
}

// Undeployed tells that the namespace has a LocalCERT but no relay to ask yet.
func (h *Hub) Undeployed(namespace string) {
	h.mu.Lock()
	r := h.relay(namespace)
	changed := r.contact == Unseen
	if changed {
		r.contact = Undeployed
	}
	h.mu.Unlock()
	if changed {
		h.wake(namespace, everything())
	}
}

// Drop forgets the relay of a namespace, if it is that of the LocalCERT.
func (h *Hub) Drop(namespace, localCERT string) {
	h.mu.Lock()
	r := h.relays[namespace]
	if r == nil || r.target != nil && r.target.LocalCERT != localCERT {
		h.mu.Unlock()
		return
	}
	if r.stop != nil {
		r.stop()
	}
	delete(h.relays, namespace)
	h.mu.Unlock()
	h.wake(namespace, everything())
}

// relay of a namespace, made when needed. The caller holds mu.
func (h *Hub) relay(namespace string) *relay {
	r := h.relays[namespace]
	if r == nil {
		r = &relay{}
		h.relays[namespace] = r
	}
	return r
}
