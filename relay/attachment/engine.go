// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

const (
	// DefaultUnnamedBytes bounds the files of one direction and peer that no message names,
	// unfinished ones with the size that they are to have: room for one message with all the
	// attachments that it may have, and some more.
	DefaultUnnamedBytes = 512 << 20
	// DefaultUnnamedCount bounds their number.
	DefaultUnnamedCount = 256
	// KeepUnnamed is how long a file that no message names stays after its last change.
	KeepUnnamed = 24 * time.Hour

	sweepEvery  = time.Hour
	sweepAtOnce = 100
	countEvery  = time.Minute
)

// Store keeps files and the messages that name them.
type Store interface {
	store.Attachments
	// GetMessage is that of store.Messages.
	GetMessage(ctx context.Context, d store.Direction, peer, id string) (store.Message, error)
}

// Config of an Engine. Store and Client are required.
type Config struct {
	// Store keeps the files.
	Store Store
	// Client returns the client whose requests go to a trust domain over the hotline's own
	// connections.
	Client func(trustDomain string) *http.Client
	// Stored is called when all that a message named was stored at a peer: its messages may
	// go. It must not block. Nil means nobody.
	Stored func(trustDomain string)
	// Lead does work while this replica of the relay has the lease of that name, as
	// lease.Sharer.Do does. Nil means that there is no other replica.
	Lead func(ctx context.Context, name string, work func(ctx context.Context))
	// Limits of what no message names, for each direction and peer. Zero means
	// DefaultUnnamedBytes and DefaultUnnamedCount.
	Limits store.AttachmentLimits
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Log gets events. Nil means none.
	Log *slog.Logger
	// Changed is called when something changed on which a person would act. It must not
	// block. Nil means nobody.
	Changed func()
	// Registry takes the metrics. Nil means none.
	Registry prometheus.Registerer
}

// Engine moves files.
type Engine struct {
	cfg     Config
	metrics *metrics

	mu    sync.Mutex // guards what follows
	lines map[string]*line
	// start runs a line; nil while Run does not run.
	start func(*line)
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Client == nil {
		return nil, errors.New("building attachments: store and client are required")
	}
	if cfg.Limits == (store.AttachmentLimits{}) {
		cfg.Limits = store.AttachmentLimits{Bytes: DefaultUnnamedBytes, Count: DefaultUnnamedCount}
	}
	if cfg.Stored == nil {
		cfg.Stored = func(string) {}
	}
	if cfg.Lead == nil {
		cfg.Lead = func(ctx context.Context, _ string, work func(context.Context)) { work(ctx) }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("building attachments: %w", err)
	}
	return &Engine{cfg: cfg, metrics: m, lines: map[string]*line{}}, nil
}

// Apply takes a new live configuration: files go to and come from peers with a Hotline.
// Every back-off is reset.
func (e *Engine) Apply(c *config.Config) {
	peers := map[string]config.Peer{}
	for _, p := range c.Peers {
		peers[p.Name] = p
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.lines
	e.lines = map[string]*line{}
	for _, h := range c.Hotlines {
		p, ok := peers[h.Peer]
		if !ok || p.State == config.Revoked {
			continue
		}
		l := before[p.TrustDomain]
		if l == nil {
			l = newLine(e, p.TrustDomain)
			if e.start != nil {
				e.start(l)
			}
		}
		if old := l.rename(h.Name); old != "" && old != h.Name {
			e.metrics.forget(old)
		}
		l.reset()
		delete(before, p.TrustDomain)
		e.lines[p.TrustDomain] = l
	}
	for _, l := range before {
		l.stop()
		e.metrics.forget(l.hotline())
	}
}

// Run sends what messages wait for, and deletes what none names, until ctx ends. It returns
// nil once everything that it started has ended.
func (e *Engine) Run(ctx context.Context) error {
	var running sync.WaitGroup
	e.mu.Lock()
	e.start = func(l *line) {
		lineCtx, cancel := context.WithCancel(ctx)
		l.setStop(cancel)
		running.Go(func() {
			defer cancel()
			l.run(lineCtx)
		})
	}
	for _, l := range e.lines {
		e.start(l)
	}
	e.mu.Unlock()
	running.Go(func() { e.cfg.Lead(ctx, "attachments", e.sweep) })
	every(ctx, countEvery, e.count)
	e.mu.Lock()
	e.start = nil
	e.mu.Unlock()
	running.Wait()
	return nil
}

// every does work now, and again after each pause, until ctx ends.
func every(ctx context.Context, pause time.Duration, work func(ctx context.Context)) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		work(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep deletes what no message names, until ctx ends.
func (e *Engine) sweep(ctx context.Context) {
	every(ctx, sweepEvery, func(ctx context.Context) {
		for ctx.Err() == nil {
			n, err := e.cfg.Store.SweepAttachments(ctx, e.cfg.Now().Add(-KeepUnnamed), sweepAtOnce)
			if err != nil && ctx.Err() == nil {
				e.cfg.Log.WarnContext(ctx, "deleting attachments that no message names failed; it is tried again", "error", err)
			}
			if n > 0 {
				e.cfg.Log.InfoContext(ctx, "attachments deleted that no message names", "attachments", n)
			}
			if err != nil || n < sweepAtOnce {
				return
			}
		}
	})
}

// count sets the gauges of what no message names.
func (e *Engine) count(ctx context.Context) {
	for _, l := range e.all() {
		for _, d := range []store.Direction{store.In, store.Out} {
			if loose, err := e.cfg.Store.LooseAttachments(ctx, d, l.trustDomain); err == nil {
				e.metrics.unnamed(l.hotline(), d, loose.Bytes)
			}
		}
	}
}

// Wake resets the back-off towards a peer, by its trust domain: the link to it is up again.
func (e *Engine) Wake(trustDomain string) {
	if l := e.line(trustDomain); l != nil {
		l.reset()
	}
}

// WakeAll resets every back-off: our own certificates have changed.
func (e *Engine) WakeAll() {
	for _, l := range e.all() {
		l.reset()
	}
}

// Trouble says for people why files to the peer of a hotline, given by its name, are stuck;
// "" if they are not.
func (e *Engine) Trouble(hotline string) string {
	if l := e.named(hotline); l != nil {
		return l.trouble()
	}
	return ""
}

func (e *Engine) all() []*line {
	e.mu.Lock()
	defer e.mu.Unlock()
	lines := make([]*line, 0, len(e.lines))
	for _, l := range e.lines {
		lines = append(lines, l)
	}
	return lines
}

func (e *Engine) line(trustDomain string) *line {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lines[trustDomain]
}

// named finds a line by the name of its hotline.
func (e *Engine) named(hotline string) *line {
	for _, l := range e.all() {
		if l.hotline() == hotline {
			return l
		}
	}
	return nil
}
