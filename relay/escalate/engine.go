// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

// Store is what this package needs of the relay's store.
type Store interface {
	store.Escalations
	GetMessage(ctx context.Context, d store.Direction, peer, id string) (store.Message, error)
	// ExerciseOf is that of store.LineChecks.
	ExerciseOf(ctx context.Context, peer, conversation string) (string, error)
}

// Line is what this package asks of the hotlines. hotline.Engine is one.
type Line interface {
	// Situations returns what somebody owes on the line with a peer.
	Situations(ctx context.Context, trustDomain string) ([]Situation, error)
	// Change changes the line and journals the entry, in one transaction.
	Change(ctx context.Context, trustDomain string, do func(store.LineTx) (*store.JournalEntry, error)) error
}

// Config of an Engine. Store, Line and TrustDomain are required.
type Config struct {
	Store Store
	Line  Line
	// TrustDomain returns our own.
	TrustDomain func() string
	// Lead does work while this replica of the relay has the lease of that name, as
	// lease.Sharer.Do does. Nil means that there is no other replica.
	Lead func(ctx context.Context, name string, work func(ctx context.Context))
	// Notifier makes a notifier. Nil means notify.New.
	Notifier func(config.Notifier) (notify.Notifier, error)
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Log gets events, no errors that are returned. Nil means none.
	Log *slog.Logger
	// Changed is called when something changed on which a person would act. It must not
	// block. Nil means nobody.
	Changed func()
	// Registry takes the metrics. Nil means none.
	Registry prometheus.Registerer
}

// Engine sees to all hotlines.
type Engine struct {
	cfg     Config
	metrics *metrics

	mu    sync.Mutex // guards what follows
	lines []*line
	// start runs a line; nil while Run does not run.
	start func(*line)
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Line == nil || cfg.TrustDomain == nil {
		return nil, errors.New("building the escalation: store, line and trust domain are required")
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
	if cfg.Lead == nil {
		cfg.Lead = func(ctx context.Context, _ string, work func(context.Context)) { work(ctx) }
	}
	if cfg.Notifier == nil {
		cfg.Notifier = func(c config.Notifier) (notify.Notifier, error) { return notify.New(c, cfg.Log, cfg.Now) }
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("building the escalation: %w", err)
	}
	return &Engine{cfg: cfg, metrics: m}, nil
}

// Apply takes a new live configuration. A hotline whose peer is revoked is left alone.
func (e *Engine) Apply(c *config.Config) {
	peers := map[string]config.Peer{}
	for _, p := range c.Peers {
		peers[p.Name] = p
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	before := map[string]*line{}
	for _, l := range e.lines {
		before[l.trustDomain] = l
	}
	e.lines = nil
	for _, h := range c.Hotlines {
		p, ok := peers[h.Peer]
		if !ok || p.State == config.Revoked {
			continue
		}
		l := before[p.TrustDomain]
		delete(before, p.TrustDomain)
		if l == nil {
			l = newLine(e, p.TrustDomain)
			if e.start != nil {
				e.start(l)
			}
		}
		l.apply(h, p)
		e.lines = append(e.lines, l)
	}
	for _, l := range before {
		l.stop()
	}
}

// Run escalates until ctx ends. It returns nil once everything that it started has ended.
func (e *Engine) Run(ctx context.Context) error {
	var running sync.WaitGroup
	e.mu.Lock()
	e.start = func(l *line) {
		own, cancel := context.WithCancel(ctx)
		l.setStop(cancel)
		running.Go(func() {
			defer cancel()
			e.cfg.Lead(own, "escalate/"+l.trustDomain, l.run)
		})
	}
	for _, l := range e.lines {
		e.start(l)
	}
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	e.start = nil
	lines := e.lines
	e.mu.Unlock()
	running.Wait()
	for _, l := range lines {
		l.close()
	}
	return nil
}

// Wake looks at all lines soon: a message came, or was acknowledged.
func (e *Engine) Wake() {
	for _, l := range e.all() {
		l.poke()
	}
}

func (e *Engine) all() []*line {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*line(nil), e.lines...)
}

// named finds a line by the name of its hotline.
func (e *Engine) named(hotline string) (*line, error) {
	for _, l := range e.all() {
		if s := l.settings(); s.hotline.Name == hotline {
			return l, nil
		}
	}
	return nil, fmt.Errorf("there is no hotline %q: %w", hotline, store.ErrNotFound)
}
