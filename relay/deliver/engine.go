// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// Store is what this package needs of the relay's store.
type Store interface {
	store.Objects
	store.Deliveries
	lease.Notes
}

// Config of an Engine. Store and Collection are required.
type Config struct {
	// Store keeps the objects, and how far each delivery has come.
	Store Store
	// Collection is the name in the store of an import's objects.
	Collection func(importName string) string
	// Lead does work while this replica of the relay has the lease of that name, as
	// package lease does. Nil means at once.
	Lead func(ctx context.Context, name string, work func(ctx context.Context))
	// Pause is how long to wait after a number of failures in a row, the first of which
	// is 1. Nil means from a second to five minutes, doubling, with jitter.
	Pause func(failures int) time.Duration
	// Poll is how often a delivery looks for new objects. Zero means each second.
	Poll time.Duration
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

// Engine runs all deliveries but those that are read.
type Engine struct {
	cfg     Config
	metrics *metrics
	// board is where the replica that delivers tells the others.
	board *lease.Board[report.Delivery]

	mu      sync.Mutex // guards what follows
	workers []*worker
	// start runs a worker; nil while Run does not run.
	start func(*worker)
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Collection == nil {
		return nil, errors.New("building the deliveries: store and collection are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Lead == nil {
		cfg.Lead = func(ctx context.Context, _ string, work func(context.Context)) { work(ctx) }
	}
	if cfg.Pause == nil {
		cfg.Pause = pause
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("building the deliveries: %w", err)
	}
	return &Engine{cfg: cfg, metrics: m, board: lease.NewBoard[report.Delivery](cfg.Store, deliverLease)}, nil
}

const (
	firstPause   = time.Second
	longestPause = 5 * time.Minute
)

func pause(failures int) time.Duration {
	wait := min(longestPause, firstPause<<min(max(failures-1, 0), 20))
	return wait/2 + rand.N(wait/2+1)
}

// Apply takes a new live configuration. Deliveries that are as they were go on, and
// every back-off is reset.
func (e *Engine) Apply(c *config.Config) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := map[string]*worker{}
	for _, w := range e.workers {
		before[w.key()] = w
	}
	e.workers = nil
	for _, m := range c.Imports {
		for _, d := range m.Deliveries {
			if d.MISP != nil {
				continue
			}
			w := newWorker(e, m.Name, d)
			if old := before[w.key()]; old != nil {
				delete(before, w.key())
				if reflect.DeepEqual(old.conf, d) {
					old.wake()
					e.workers = append(e.workers, old)
					continue
				}
				w.follow(old)
			}
			if e.start != nil {
				e.start(w)
			}
			e.workers = append(e.workers, w)
		}
	}
	for _, gone := range before {
		gone.stop()
		e.metrics.forget(gone.feed, gone.conf.Name)
	}
	e.cfg.Changed()
}

// Run delivers until ctx ends. It returns nil once everything that it started has ended.
func (e *Engine) Run(ctx context.Context) error {
	var running sync.WaitGroup
	e.mu.Lock()
	e.start = func(w *worker) {
		own, cancel := context.WithCancel(ctx)
		w.begin(cancel)
		running.Go(func() {
			defer cancel()
			w.run(own)
		})
	}
	for _, w := range e.workers {
		e.start(w)
	}
	e.mu.Unlock()
	e.readNotes(ctx)
	e.mu.Lock()
	e.start = nil
	e.mu.Unlock()
	running.Wait()
	return nil
}

func (e *Engine) list() []*worker {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.workers)
}

func (e *Engine) find(feed, name string) *worker {
	for _, w := range e.list() {
		if w.feed == feed && w.conf.Name == name {
			return w
		}
	}
	return nil
}

// ReportDeliveries returns the state of each delivery, by import and name, in the words of the
// replica that delivers. One that was not looked at yet is absent.
func (e *Engine) ReportDeliveries(context.Context) ([]report.Delivery, error) {
	var list []report.Delivery
	for _, w := range e.list() {
		if d, ok := w.reported(); ok {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b report.Delivery) int {
		return cmp.Or(strings.Compare(a.Import, b.Import), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}
