// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/preempt"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
	"github.com/certlink/certlink/relay/territory"
)

// Store is what this package needs of the relay's store.
type Store interface {
	store.Objects
	store.Views
	store.Outgoing
	store.Quarantine
	store.Revocations
}

// Identity is who we are and whom we trust at one moment, for receipts.
type Identity interface {
	receipt.Signer
	receipt.Verifier
	// TrustDomain is our own.
	TrustDomain() string
}

// Config of an Engine. Store and Client are required.
type Config struct {
	// Store keeps objects and decisions.
	Store Store
	// Client returns the client whose requests go to a trust domain over the
	// link's TAXII connections.
	Client func(trustDomain string) *http.Client
	// Identity returns our present identity. Nil means that no receipts are sent and none
	// are taken.
	Identity func() Identity
	// Atlas returns the territory data of the moment. Nil means that there is none.
	Atlas func() *territory.Atlas
	// Lead does work while this replica of the relay has the lease of that name, as
	// lease.Sharer.Do does. Nil means that there is no other replica.
	Lead func(ctx context.Context, name string, work func(ctx context.Context))
	// Notes pass the state of pulls between replicas. Nil means that there is no other.
	Notes lease.Notes
	// Version of the relay, for servers that are no peers. Empty means that of the build.
	Version string
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Log gets events, no errors that are returned. Nil means none.
	Log *slog.Logger
	// Changed is called when something changed on which a person would act. It
	// must not block. Nil means nobody.
	Changed func()
	// Preempt is asked between pieces of work, as FLASH messages go before feeds. Nil means never.
	Preempt *preempt.Gate
	// Registry takes the metrics. Nil means none.
	Registry prometheus.Registerer
}

// Engine runs all exports and imports.
type Engine struct {
	cfg      Config
	metrics  *metrics
	live     atomic.Pointer[plan]
	link     http.Handler
	local    http.Handler
	exporter *exporter
	advance  *advance

	// board is where the replica that pulls tells the others.
	board *lease.Board[report.Import]

	mu      sync.Mutex // guards what follows
	imports []*importer
	// fetchers fill the sources that we fetch.
	fetchers []*fetcher
	// start runs a puller; nil while Run does not run.
	start func(*puller)
}

// New checks the configuration and starts nothing. Before the first Apply
// nothing is shared and nothing is collected.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Client == nil {
		return nil, errors.New("building the feeds: store and client are required")
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
		return nil, fmt.Errorf("building the feeds: %w", err)
	}
	e := &Engine{cfg: cfg, board: lease.NewBoard[report.Import](cfg.Notes, pullLease), metrics: m}
	e.live.Store(newPlan(&config.Config{}, nil))
	e.exporter, e.advance = newExporter(e), newAdvance(e)
	handler := func(port, root, title string, b taxii.Backend) http.Handler {
		return taxii.NewHandler(taxii.Options{
			Root: root, Title: title, Backend: b, Clock: cfg.Now, Logger: cfg.Log, Registry: cfg.Registry, Port: port,
		})
	}
	e.link = e.takeReceipts(e.advance.watch(handler("link", LinkRoot, "Shared feeds", linkBackend{e})))
	e.local = handler("local", LocalRoot, "Feeds of this relay", localBackend{e})
	return e, nil
}

// Apply takes a new live configuration. What it withdraws is not served from
// this moment on. Every import is pulled at once, of sources those that are new or
// fail, and every back-off is reset.
func (e *Engine) Apply(c *config.Config) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.live.Load()
	now := newPlan(c, before)
	e.live.Store(now)
	e.metrics.forgetExports(before, now)
	e.applyImports(c)
	e.applySources(c)
	e.exporter.wake()
	e.cfg.Changed()
}

// applyImports keeps the imports that are as they were, and replaces the others.
func (e *Engine) applyImports(c *config.Config) {
	peers := map[string]config.Peer{}
	for _, p := range c.Peers {
		peers[p.Name] = p
	}
	before := map[string]*importer{}
	for _, i := range e.imports {
		before[i.conf.Name] = i
	}
	e.imports = nil
	for _, conf := range c.Imports {
		peer, ok := peers[conf.Peer]
		if !ok {
			continue
		}
		old := before[conf.Name]
		delete(before, conf.Name)
		if old != nil && old.same(conf, peer) {
			old.wake()
			e.imports = append(e.imports, old)
			continue
		}
		i := newImporter(e, conf, peer, old)
		if e.start != nil {
			e.start(i.puller)
		}
		e.imports = append(e.imports, i)
	}
	for _, gone := range before {
		gone.stop()
		e.metrics.forgetImport(gone.conf.Name)
	}
}

// Run decides and collects until ctx ends. It returns nil once everything that
// it started has ended.
func (e *Engine) Run(ctx context.Context) error {
	var running sync.WaitGroup
	e.mu.Lock()
	e.start = func(p *puller) {
		own, cancel := context.WithCancel(ctx)
		p.begin(cancel)
		running.Go(func() {
			defer cancel()
			p.run(own)
		})
	}
	for _, i := range e.imports {
		e.start(i.puller)
	}
	for _, f := range e.fetchers {
		e.start(f.puller)
	}
	e.mu.Unlock()
	running.Go(func() { e.watchFiles(ctx) })
	running.Go(func() { e.advance.run(ctx) })
	running.Go(func() { e.readNotes(ctx) })
	e.exporter.run(ctx)
	e.mu.Lock()
	e.start = nil
	e.mu.Unlock()
	running.Wait()
	return nil
}

// Wake pulls the imports from a peer at once and resets their back-off: the link
// to the peer is up again. The peer is given by our name for it or by its trust domain.
func (e *Engine) Wake(peer string) {
	for _, i := range e.importers() {
		if i.peer.Name == peer || i.peer.TrustDomain == peer {
			i.wake()
		}
	}
}

// Stored makes the exports look for what is undecided: another replica of this relay
// has stored or deleted objects.
func (e *Engine) Stored() {
	e.exporter.heard.Store(true)
	e.exporter.wake()
}

// WakeAll pulls all imports at once: our own certificates have changed.
func (e *Engine) WakeAll() {
	for _, i := range e.importers() {
		i.wake()
	}
}

func (e *Engine) importers() []*importer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*importer(nil), e.imports...)
}
