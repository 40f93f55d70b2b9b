// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/socket"
	"github.com/certlink/certlink/relay/stream"
)

// sweepEvery is how often idle connections are looked for, and listeners that
// could not be opened are tried again every relistenEvery.
const (
	sweepEvery    = 250 * time.Millisecond
	relistenEvery = 5 * time.Second
	// restAfter is how long no byte moves on a connection before it is made small. The
	// sooner, the fewer goroutines are there at once while many are opened: the
	// runtime keeps half a kilobyte of each for ever. To wake one costs microseconds.
	restAfter = 500 * time.Millisecond
)

// Config is what an Engine needs.
type Config struct {
	// Open returns a stream to the relay of a peer, on a parked connection if there
	// is one. It may wait until the context ends. Required.
	Open func(ctx context.Context, trustDomain string) (*stream.Stream, error)
	// OpenParked is Open that does not wait: nil if no connection is parked. May be nil.
	OpenParked func(trustDomain string) *stream.Stream
	// Changed is told that ReportServices would answer differently. It must not
	// block. May be nil.
	Changed func()
	// Log is required.
	Log *slog.Logger
	// Metrics is where metrics are registered; nil means nowhere.
	Metrics prometheus.Registerer
}

// Engine shares services with peers.
type Engine struct {
	cfg     Config
	metrics *metrics
	now     atomic.Pointer[table]
	watch   atomic.Pointer[stream.Watch] // of connections that rest; nil before Run, or if there is none
	clients sync.WaitGroup
	over    socket.Bin // local sockets

	mu        sync.Mutex // guards what follows
	accounts  map[string]*account
	services  map[serviceKey]*service
	listeners map[string]*listener // by the name of the import
	open      map[*connection]struct{}
	ctx       context.Context // of Run; nil before and after
	ended     bool            // Run has
	opened    int             // connections, ever

	// Of the sweep: what was opened before the last one, and what was opened or put to rest,
	// now and when memory was last given back.
	openedBefore, rested, doneFreed int
	freed                           time.Time

	restrained bool // see restraints
}

// New checks the configuration. Nothing is shared before Apply, and no port of an
// import is open before Run.
func New(cfg Config) (*Engine, error) {
	if cfg.Open == nil || cfg.Log == nil {
		return nil, errors.New("tunnel engine needs a way to open streams and a logger")
	}
	e := &Engine{
		cfg: cfg, metrics: newMetrics(cfg.Metrics),
		accounts: map[string]*account{}, services: map[serviceKey]*service{},
		listeners: map[string]*listener{}, open: map[*connection]struct{}{},
	}
	e.now.Store(&table{})
	return e, nil
}

// Apply makes a configuration live. Connections that it does not allow any more are
// cut before Apply returns; ports of imports are opened and closed.
func (e *Engine) Apply(cfg *config.Config) {
	e.mu.Lock()
	t := e.newTable(cfg)
	e.now.Store(t)
	e.forget(t)
	e.listen()
	e.mu.Unlock()
	e.cut(cutPolicy, func(c *connection) bool { return !t.keeps(c) })
	e.changed()
}

// cut ends the connections that the condition names. A connection that is tracked
// later is judged then.
func (e *Engine) cut(reason string, condition func(*connection) bool) {
	e.mu.Lock()
	var doomed []*connection
	for c := range e.open {
		if condition(c) {
			doomed = append(doomed, c)
		}
	}
	e.mu.Unlock()
	for _, c := range doomed { // without the lock: it closes what others look after
		e.metrics.cut.WithLabelValues(reason).Inc()
		c.cut()
	}
}

// forget drops what is counted of peers and services that are gone.
func (e *Engine) forget(t *table) {
	for name, a := range e.accounts {
		if _, known := t.peers[name]; !known {
			delete(e.accounts, name)
			for _, s := range e.services {
				s.counts.Delete(a)
			}
		}
	}
	for k := range e.services {
		_, exported := t.exports[k.name]
		_, imported := t.imports[k.name]
		if k.imported && !imported || !k.imported && !exported {
			delete(e.services, k)
			e.metrics.forget(k)
		}
	}
}

// service returns the service of a key, new or as it was. The caller holds mu.
func (e *Engine) service(k serviceKey) *service {
	s := e.services[k]
	if s == nil {
		s = &service{name: k.name, imported: k.imported}
		e.services[k] = s
	}
	return s
}

// Run opens the ports of imports and looks after connections until the context
// ends, then cuts them all and waits for them.
func (e *Engine) Run(ctx context.Context) error {
	defer e.watchRests()() // until the last connection has ended
	defer e.restrain(false)
	e.mu.Lock()
	e.ctx = ctx
	e.listen()
	e.mu.Unlock()
	sweep, relisten := time.NewTicker(sweepEvery), time.NewTicker(relistenEvery)
	defer sweep.Stop()
	defer relisten.Stop()
	for {
		select {
		case <-ctx.Done():
			e.end()
			e.clients.Wait()
			e.over.Empty()
			return nil
		case now := <-sweep.C:
			e.sweep(now)
		case <-relisten.C:
			e.mu.Lock()
			e.listen()
			e.mu.Unlock()
		}
	}
}

func (e *Engine) end() {
	e.mu.Lock()
	e.ctx, e.ended = nil, true
	for name, l := range e.listeners {
		l.close()
		delete(e.listeners, name)
	}
	e.mu.Unlock()
	e.cut(cutEnd, func(*connection) bool { return true })
}

// sweep cuts connections on which no byte has moved for too long, and makes those
// small that rest. That bytes move is all it sees, so the way of the bytes needs no clock.
func (e *Engine) sweep(now time.Time) {
	var resting []*connection
	open, soon := 0, 0 // are open, will rest
	e.cut(cutIdle, func(c *connection) bool {
		open++
		if moved := c.moved.Load(); moved != c.seen || c.since.IsZero() {
			c.seen, c.since, c.resting = moved, now, false
			return false
		}
		idle := now.Sub(c.since)
		switch {
		case c.resting:
		case idle >= restAfter:
			c.resting = true
			resting = append(resting, c)
		default:
			soon++
		}
		return idle >= c.idle
	})
	for _, c := range resting {
		c.rest()
	}
	e.rested += len(resting)
	e.restrain(open >= many)
	e.giveBack(now, soon > 0 || len(resting) > 0)
}

// track adds a connection if it is allowed at this moment. It tells whether there are so many
// that none is to take a goroutine before it has something to do.
func (e *Engine) track(c *connection) (allowed, crowd bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended || !e.now.Load().keeps(c) {
		return false, false
	}
	e.open[c] = struct{}{}
	e.opened++
	e.clients.Add(1)
	return true, len(e.open) > many
}

func (e *Engine) untrack(c *connection) {
	e.mu.Lock()
	delete(e.open, c)
	e.mu.Unlock()
	e.clients.Done()
}

// calm is how long the words for what is wrong with a service stay. Those of a peer may be others each time that we ask.
const calm = 10 * time.Second

// trouble notes what a person should know of a service; "" means that all is well.
func (e *Engine) trouble(s *service, text string) {
	was := s.problem.Load()
	switch {
	case was == nil && text == "", was != nil && was.text == text:
		return
	case text == "":
		s.problem.Store(nil)
	case was != nil && time.Since(was.since) < calm:
		return
	default:
		s.problem.Store(&problem{text, time.Now()})
		e.cfg.Log.Warn("a shared service", "kind", serviceKey{s.name, s.imported}.kind(), "service", s.name, "problem", text)
	}
	e.changed()
}

func (e *Engine) changed() {
	if e.cfg.Changed != nil {
		e.cfg.Changed()
	}
}

// Tunnels returns the number of tunnelled connections from and to a peer.
func (e *Engine) Tunnels(peer string) int64 {
	p, known := e.now.Load().peers[peer]
	if !known {
		return 0
	}
	return p.account.open.Load()
}
