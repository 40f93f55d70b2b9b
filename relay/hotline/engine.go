// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

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
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/preempt"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// Identity is who we are and whom we trust at one moment. identity.Snapshot is one.
type Identity interface {
	receipt.Signer
	receipt.Verifier
	// TrustDomain is our own.
	TrustDomain() string
}

// Config of an Engine. Store, Identity and Client are required.
type Config struct {
	// Store keeps the messages and our journals.
	Store Store
	// Identity returns our present identity; it is asked for each message.
	Identity func() Identity
	// Client returns the client whose requests go to a trust domain over the
	// hotline's own connections.
	Client func(trustDomain string) *http.Client
	// Attachments tells where the files of messages are. Nil means that messages with
	// attachments are neither sent nor taken.
	Attachments Attachments
	// Lead does work while this replica of the relay has the lease of that name, as
	// lease.Sharer.Do does. Nil means that there is no other replica.
	Lead func(ctx context.Context, name string, work func(ctx context.Context))
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Log gets events, no errors that are returned. Nil means none.
	Log *slog.Logger
	// Changed is called when something changed on which a person would act. It
	// must not block. Nil means nobody.
	Changed func()
	// Lint says what the glossary has against the words of a message to a peer, a line for
	// each. It must not block. Nil means nothing.
	Lint func(ctx context.Context, trustDomain string, m *message.Message) []string
	// Preempt is told of FLASH, and asked before anything else leaves. Nil means that FLASH has
	// only its lanes.
	Preempt *preempt.Gate
	// Registry takes the metrics. Nil means none.
	Registry prometheus.Registerer
}

// Engine is our end of all hotlines.
type Engine struct {
	cfg     Config
	metrics *metrics
	// recheck tells Run that the next deadline may have moved.
	recheck chan struct{}
	// redraft tells Run that the next draft may expire at another time.
	redraft chan struct{}
	// due is the next deadline, as far as it is known.
	due dues

	termCache termCache
	pages     pages

	mu    sync.Mutex // guards what follows
	lines []*line
	// desk says which officers there are.
	desk config.Desk
	// start runs a line; nil while Run does not run.
	start func(*line)
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Identity == nil || cfg.Client == nil {
		return nil, errors.New("building the hotline: store, identity and client are required")
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
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("building the hotline: %w", err)
	}
	return &Engine{
		cfg: cfg, metrics: m, recheck: make(chan struct{}, 1), redraft: make(chan struct{}, 1),
		pages: pages{copies: copiesAtOnce, moves: movesAtOnce},
	}, nil
}

// Apply takes a new live configuration. A hotline whose peer is revoked is not
// served; its messages stay stored. Every back-off is reset.
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
	e.lines, e.desk = nil, c.Desk
	defer e.pokeDrafts()
	for _, h := range c.Hotlines {
		p, ok := peers[h.Peer]
		if !ok || p.State == config.Revoked {
			continue
		}
		l := before[p.TrustDomain]
		delete(before, p.TrustDomain)
		if l == nil {
			l = newLine(e, p.TrustDomain)
			l.apply(h, p)
			if e.start != nil {
				e.start(l)
			}
		} else {
			l.apply(h, p)
			l.reset()
		}
		e.lines = append(e.lines, l)
	}
	for _, l := range before {
		l.stop()
		e.metrics.forget(l.name())
	}
	e.poke()
}

// Run sends what is queued, and reports deadlines as they pass, until ctx ends.
// It returns nil once everything that it started has ended.
func (e *Engine) Run(ctx context.Context) error {
	var running sync.WaitGroup
	e.mu.Lock()
	e.start = func(l *line) {
		lineCtx, cancel := context.WithCancel(ctx)
		l.setStop(cancel)
		running.Go(func() {
			defer cancel()
			e.cfg.Lead(lineCtx, store.HotlineTopic(l.trustDomain), l.run)
		})
	}
	for _, l := range e.lines {
		e.start(l)
	}
	e.mu.Unlock()
	running.Go(func() { e.watchDrafts(ctx) })
	e.watchDeadlines(ctx)
	e.mu.Lock()
	e.start = nil
	e.mu.Unlock()
	running.Wait()
	return nil
}

// Wake resets the back-off towards a peer, given by our name for it or by its
// trust domain: the link to it is up again.
func (e *Engine) Wake(peer string) {
	if l := e.line(peer); l != nil {
		l.reset()
	}
}

// Stored looks at the outbox to a peer, given by its trust domain, or at all of them
// if it is empty: another replica of this relay has stored a message.
func (e *Engine) Stored(trustDomain string) {
	for _, l := range e.all() {
		if trustDomain == "" || l.trustDomain == trustDomain {
			l.pokeAll()
		}
	}
}

// WakeAll resets every back-off: our own certificates have changed.
func (e *Engine) WakeAll() {
	for _, l := range e.all() {
		l.reset()
	}
}

// all returns the present lines.
func (e *Engine) all() []*line {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*line(nil), e.lines...)
}

// lineTo finds a hotline by the peer's trust domain.
func (e *Engine) lineTo(trustDomain string) *line {
	return e.lineOf(func(l *line) bool { return l.trustDomain == trustDomain })
}

// lineOf finds the first line that is the one looked for.
func (e *Engine) lineOf(is func(*line) bool) *line {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lines {
		if is(l) {
			return l
		}
	}
	return nil
}

// line finds a hotline for people: by trust domain, else by our name for the peer.
func (e *Engine) line(peer string) *line {
	if l := e.lineTo(peer); l != nil {
		return l
	}
	for _, l := range e.all() {
		if _, p := l.settings(); p.Name == peer {
			return l
		}
	}
	return nil
}

// changed tells that the state of a hotline changed.
func (e *Engine) changed() {
	e.poke()
	e.cfg.Changed()
}

// poke makes Run look for the next deadline again.
func (e *Engine) poke() {
	select {
	case e.recheck <- struct{}{}:
	default:
	}
}
