// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// PoolConfig is what a Pool needs.
type PoolConfig struct {
	// Identity says who we are and whom we trust. Required.
	Identity *identity.Source
	// Log is required.
	Log *slog.Logger
	// Metrics is where metrics are registered. Required.
	Metrics prometheus.Registerer
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Pool keeps authenticated connections with the relays of our peers parked,
// whoever dialled them, and carries requests over them.
type Pool struct {
	cfg      PoolConfig
	instance string
	open     *registry[*conn]
	metrics  *metrics
	// serving takes the streams that peers open.
	serving atomic.Pointer[func(*conn, *stream.Stream)]
	// life ends when the pool has been closed; work is what runs meanwhile.
	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex // guards what follows and all that is below a peer
	peers   map[string]*peer
	serial  string // of our certificate
	closing bool
}

// NewPool checks the configuration. It dials nobody before Apply.
func NewPool(cfg PoolConfig) (*Pool, error) {
	if cfg.Identity == nil || cfg.Log == nil || cfg.Metrics == nil {
		return nil, errors.New("link pool needs an identity, a logger and metrics")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	p := &Pool{cfg: cfg, instance: rand.Text(), open: newRegistry[*conn](), peers: map[string]*peer{}}
	p.life, p.end = context.WithCancel(context.Background())
	p.metrics = newMetrics(cfg.Metrics, p)
	cfg.Identity.OnChange(p.trustChanged)
	return p, nil
}

// Apply takes the peers and endpoints to keep connections to. The identity has the
// same configuration already.
func (p *Pool) Apply(c *config.Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	named := make(map[string]bool, len(c.Peers))
	for _, cfg := range c.Peers {
		named[cfg.TrustDomain] = true
		pr := p.peers[cfg.TrustDomain]
		if pr == nil {
			pr = newPeer(cfg)
			p.peers[cfg.TrustDomain] = pr
		}
		pr.cfg = cfg
		p.configure(pr)
	}
	for td, pr := range p.peers {
		if !named[td] {
			pr.cfg.Endpoints = nil
			p.configure(pr)
			p.turnAway(pr, nobody(td))
			delete(p.peers, td)
		}
	}
}

// configure brings the paths that we dial in line with the configuration.
func (p *Pool) configure(pr *peer) {
	wanted := map[Path]bool{}
	if pr.cfg.State != config.Revoked {
		for _, e := range pr.cfg.Endpoints {
			pt := pr.path(Path{TrustDomain: pr.cfg.TrustDomain, Address: e.Address})
			if pt.priority = e.Priority; !pt.wanted {
				pt.wanted = true
				pt.life, pt.end = context.WithCancel(p.life) //nolint:fatcontext // each path has its own, of the pool's
			}
			wanted[pt.Path] = true
			p.encourage(pt)
		}
	}
	// Ties go in the order of the configuration, which the order of paths begins with.
	index := func(pt *path) int {
		return slices.IndexFunc(pr.cfg.Endpoints, func(e config.Endpoint) bool { return !pt.Accepted && e.Address == pt.Address })
	}
	slices.SortStableFunc(pr.order, func(a, b *path) int { return cmp.Compare(uint(index(a)), uint(index(b))) }) //nolint:gosec // -1 comes last
	for at, pt := range pr.paths {
		if !at.Accepted && !wanted[at] {
			p.abandon(pt)
		}
	}
	if pr.cfg.State == config.Revoked {
		p.turnAway(pr, revoked(pr.cfg))
	}
}

// abandon lets a path go that is not configured any more. What it carries ends in peace;
// what is being dialled, or shakes hands, ends at once.
func (p *Pool) abandon(pt *path) {
	if pt.wanted {
		pt.wanted = false
		pt.end()
	}
	for c := range pt.conns {
		p.leave(c)
	}
	if len(pt.conns) == 0 {
		pt.peer.drop(pt)
	}
}

// leave takes no further stream over a connection. The caller holds p.mu.
func (p *Pool) leave(c *conn) {
	pt := c.path
	pt.lanes[c.class].remove(c)
	if !c.leaving {
		c.leaving = true
		go c.Drain()
	}
}

// turnAway tells those who wait for a peer why they wait in vain.
func (p *Pool) turnAway(pr *peer, why *Error) {
	for class, waiters := range pr.waiting {
		for _, w := range waiters {
			w.fail(why)
		}
		delete(pr.waiting, class)
	}
}

// SetPath says what heartbeats found about a path. On one that is Down, parked
// connections are dropped, so that the next request does not wait for a dead one,
// and none are kept ready until it recovers. Requests that are under way go on: on a crowded
// path they may yet get through.
func (p *Pool) SetPath(at Path, state report.State, roundTrip time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.peers[at.TrustDomain]
	if pr == nil {
		return
	}
	pt := pr.paths[at]
	if pt == nil {
		return
	}
	before := pt.state
	pt.state, pt.roundTrip = state, roundTrip
	switch {
	case state == report.Down && before != report.Down:
		for _, l := range pt.lanes {
			for _, c := range slices.Clone(l.parked) {
				l.remove(c)
				go c.Cut()
			}
		}
	case state != report.Down && before == report.Down:
		p.encourage(pt)
	}
}

// Heard returns when any byte last arrived on a connection of a path, zero if
// none did.
func (p *Pool) Heard(at Path) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.peers[at.TrustDomain]
	if pr == nil || pr.paths[at] == nil {
		return time.Time{}
	}
	pt := pr.paths[at]
	last := pt.heard
	for c := range pt.conns {
		last = max(last, c.heard.Load())
	}
	if last == 0 {
		return time.Time{}
	}
	return time.Unix(0, last)
}

// Paths returns the paths of a peer that are dialled as configured, and then those
// over which it holds connections to us, each by address.
func (p *Pool) Paths(trustDomain string) []Path {
	p.mu.Lock()
	defer p.mu.Unlock()
	var paths []Path
	if pr := p.peers[trustDomain]; pr != nil {
		for at, pt := range pr.paths {
			if pt.wanted || at.Accepted && len(pt.conns) > 0 {
				paths = append(paths, at)
			}
		}
	}
	slices.SortFunc(paths, func(a, b Path) int { return cmp.Compare(a.id(), b.id()) })
	slices.SortStableFunc(paths, func(a, b Path) int { return cmp.Compare(btoi(a.Accepted), btoi(b.Accepted)) })
	return paths
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Run keeps the pool in order until the context ends, then lets what is under way
// finish for a while.
func (p *Pool) Run(ctx context.Context) error {
	tick, check := time.NewTicker(tidyEvery), time.NewTicker(recheckEvery)
	defer tick.Stop()
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			p.shutDown()
			return nil
		case <-tick.C:
			p.tidy()
		case <-check.C:
			p.recheck(p.cfg.Identity.Current())
		}
	}
}

// spawn runs a function that shutting down waits for.
func (p *Pool) spawn(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		go f() // it ends with the connections
		return
	}
	p.work.Go(f)
}

// shutDown ends all connections: the parked at once, the others with their stream
// or after drain.
func (p *Pool) shutDown() {
	p.mu.Lock()
	p.closing = true
	for _, pr := range p.peers {
		p.turnAway(pr, nobody(pr.cfg.TrustDomain))
		for _, pt := range pr.paths {
			if pt.retry != nil {
				pt.retry.Stop()
			}
		}
	}
	p.mu.Unlock()
	ended := time.NewTimer(drain)
	defer ended.Stop()
	for _, c := range p.open.all() {
		c.Drain()
	}
wait:
	for _, c := range p.open.all() {
		select {
		case <-c.framed.Done():
		case <-ended.C:
			break wait
		}
	}
	p.end()
	for _, c := range p.open.all() {
		c.Cut()
	}
	p.work.Wait()
}
