// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// judgeEvery is how often silence is looked for.
const judgeEvery = 100 * time.Millisecond

// Config is what a Prober needs.
type Config struct {
	// Client returns the HTTP client for one path of a peer. Required.
	Client func(trustDomain, address string) *http.Client
	// Path is told when a path goes up or down; OnUp when a peer can be reached
	// again; Changed when the report of a peer differs. They must not block, and
	// may be nil.
	Path    func(trustDomain, address string, up bool)
	OnUp    func(config.Peer)
	Changed func()
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
	// Log and Metrics are required.
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Prober asks peers and notes what peers ask.
type Prober struct {
	cfg     Config
	metrics *metrics
	changed chan struct{} // Apply tells Run

	mu    sync.Mutex // guards what follows
	peers map[string]*peer
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Prober, error) {
	if cfg.Client == nil || cfg.Log == nil || cfg.Metrics == nil {
		return nil, errors.New("prober needs a client, a logger and metrics")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Path == nil {
		cfg.Path = func(string, string, bool) {}
	}
	if cfg.OnUp == nil {
		cfg.OnUp = func(config.Peer) {}
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	return &Prober{cfg: cfg, metrics: newMetrics(cfg.Metrics), changed: make(chan struct{}, 1), peers: map[string]*peer{}}, nil
}

// Apply takes the peers of a configuration. It may be called at any time.
func (p *Prober) Apply(c *config.Config) {
	now := p.cfg.Clock()
	p.mu.Lock()
	named := make(map[string]bool, len(c.Peers))
	for _, cfg := range c.Peers {
		named[cfg.TrustDomain] = true
		known := p.peers[cfg.TrustDomain]
		if known == nil {
			known = newPeer(cfg, now)
			p.peers[cfg.TrustDomain] = known
		} else if known.cfg.Name != cfg.Name {
			p.metrics.forget(known.cfg.Name)
		}
		known.configure(cfg, now)
		known.judge(now)
	}
	for td, known := range p.peers {
		if !named[td] {
			p.metrics.forget(known.cfg.Name)
			delete(p.peers, td)
		}
	}
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Refused notes that our link port refused a handshake in the name of a peer.
func (p *Prober) Refused(trustDomain string, cause report.Cause, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.peers[trustDomain]; known != nil {
		known.refused = refusal{fault{cause, message}, p.cfg.Clock()}
	}
}

// ReportPeers describes the links, by name of the peer.
func (p *Prober) ReportPeers(context.Context) ([]report.Peer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	peers := make([]report.Peer, 0, len(p.peers))
	for _, known := range p.peers {
		peers = append(peers, known.report())
	}
	slices.SortFunc(peers, func(a, b report.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return peers, nil
}

// lane is one path that is being probed.
type lane struct {
	trustDomain, address string
	detection            config.Detection
}

// Run probes until the context ends.
func (p *Prober) Run(ctx context.Context) error {
	running := map[lane]context.CancelFunc{}
	var lanes sync.WaitGroup
	defer lanes.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.judge()
		case <-p.changed:
			wanted := p.lanes()
			for l, stop := range running {
				if !wanted[l] {
					stop()
					delete(running, l)
				}
			}
			for l := range wanted {
				if running[l] != nil {
					continue
				}
				laneCtx, stop := context.WithCancel(ctx)
				running[l] = stop
				lanes.Go(func() { p.drive(laneCtx, l) })
			}
			p.judge()
		}
	}
}

// lanes lists the paths to probe.
func (p *Prober) lanes() map[lane]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := map[lane]bool{}
	for td, known := range p.peers {
		if known.cfg.State == config.Revoked {
			continue
		}
		for _, e := range known.cfg.Endpoints {
			wanted[lane{td, e.Address, known.cfg.Detection}] = true
		}
	}
	return wanted
}

// judge looks for silence, and tells what has changed.
func (p *Prober) judge() {
	var up []config.Peer
	changed := false
	now := p.cfg.Clock()
	p.mu.Lock()
	for _, known := range p.peers {
		differs, cameUp := known.judge(now)
		changed = changed || differs
		if cameUp {
			up = append(up, known.cfg)
		}
		if differs {
			p.metrics.state(known.cfg.Name, known.out.State, known.inb.State)
		}
	}
	p.mu.Unlock()
	if changed {
		p.cfg.Changed()
	}
	for _, cfg := range up {
		p.cfg.Log.Info("peer reached", "peer", cfg.Name)
		p.cfg.OnUp(cfg)
	}
}
