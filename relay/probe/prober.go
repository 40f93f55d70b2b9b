// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// Links is what a Prober needs of the link: link.Pool.
type Links interface {
	// Heartbeat opens one new heartbeat connection on a path that we dial.
	Heartbeat(ctx context.Context, path link.Path) (net.Conn, report.TLS, error)
	// Heard is when any byte last arrived on any connection of a path. Only whether
	// it differs from the last answer counts, so its clock may jump.
	Heard(path link.Path) time.Time
	// SetPath says what is known of a path now.
	SetPath(path link.Path, state report.State, roundTrip time.Duration)
}

// Config is what a Prober needs.
type Config struct {
	// Links opens connections and is told of paths. Required.
	Links Links
	// Offer returns the revision of our offer to a peer, which beats carry, and
	// OfferSeen is told that of the peer's offer when it differs. Both may be nil.
	Offer     func(trustDomain string) string
	OfferSeen func(trustDomain, revision string)
	// OnUp is told when a peer can be reached again, at the first sign of life;
	// Changed when the report of a peer differs. Like all functions here they must
	// not block, and they may be nil.
	OnUp    func(config.Peer)
	Changed func()
	// Clock returns the time of day; nil means time.Now. Silence is not measured
	// with it.
	Clock func() time.Time
	// Log and Metrics are required.
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Prober exchanges heartbeats with peers and judges links by them.
type Prober struct {
	cfg      Config
	metrics  *metrics
	instance string
	poke     chan struct{}  // something is to be judged now
	running  sync.WaitGroup // heartbeat connections

	mu      sync.Mutex // guards what follows
	peers   map[string]*peer
	late    lateness
	stopped bool
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Prober, error) {
	if cfg.Links == nil || cfg.Log == nil || cfg.Metrics == nil {
		return nil, errors.New("prober needs links, a logger and metrics")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Offer == nil {
		cfg.Offer = func(string) string { return "" }
	}
	if cfg.OfferSeen == nil {
		cfg.OfferSeen = func(string, string) {}
	}
	if cfg.OnUp == nil {
		cfg.OnUp = func(config.Peer) {}
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	return &Prober{
		cfg: cfg, metrics: newMetrics(cfg.Metrics), instance: rand.Text()[:13],
		poke: make(chan struct{}, 1), peers: map[string]*peer{},
	}, nil
}

// Apply takes the peers of a configuration. It may be called at any time.
func (p *Prober) Apply(c *config.Config) {
	now := time.Now()
	p.mu.Lock()
	named := make(map[string]bool, len(c.Peers))
	for _, cfg := range c.Peers {
		named[cfg.TrustDomain] = true
		known := p.peers[cfg.TrustDomain]
		if known == nil {
			known = newPeer(cfg, &p.late, now)
			p.peers[cfg.TrustDomain] = known
		} else if known.cfg.Name != cfg.Name {
			p.metrics.forget(known.cfg.Name)
		}
		known.configure(cfg, now)
		known.sum(now, p.cfg.Clock())
	}
	for td, known := range p.peers {
		if !named[td] {
			p.metrics.forget(known.cfg.Name)
			for _, pt := range known.paths {
				pt.end("")
			}
			delete(p.peers, td)
		}
	}
	p.mu.Unlock()
	p.look()
}

// look asks for a judgement now.
func (p *Prober) look() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// Refused notes that our link port refused a handshake in the name of a peer.
func (p *Prober) Refused(trustDomain string, cause report.Cause, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.peers[trustDomain]; known != nil {
		known.refused = refusal{fault{cause, message}, time.Now()}
	}
}

// proven notes the session of a heartbeat connection.
func (p *Prober) proven(known *peer, facts report.TLS) {
	p.mu.Lock()
	changed := known.proven(facts)
	p.mu.Unlock()
	if changed {
		p.cfg.Changed()
	}
}

func (p *Prober) nameOf(known *peer) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return known.cfg.Name
}

// View is our own view of the link to a peer, for offers: Unknown for a peer that
// we do not have.
func (p *Prober) View(trustDomain string) (outbound, inbound report.State, pathsUp int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.peers[trustDomain]
	if known == nil {
		return report.Unknown, report.Unknown, 0
	}
	return known.out.State, known.inb.State, known.pathsUp()
}

// ReportPeers describes the links, by name of the peer.
func (p *Prober) ReportPeers(context.Context) ([]report.Peer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	peers := make([]report.Peer, 0, len(p.peers))
	for _, known := range p.peers {
		peers = append(peers, known.report(now))
	}
	slices.SortFunc(peers, func(a, b report.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return peers, nil
}
