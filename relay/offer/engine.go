// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
)

// Keeper stores bundles before they count. trust.Keeper is one.
type Keeper interface {
	// Learn stores a bundle and puts it into force, in this order.
	Learn(ctx context.Context, trustDomain, base string, roots []*x509.Certificate, serial int64) error
	// Offered records a bundle that waits for a person.
	Offered(ctx context.Context, trustDomain string, roots []*x509.Certificate, serial int64) error
	// Withdrawn are the hashes of the keys (cabundle.KeyHash) of CA certificates that a
	// person took out of the configured bundle: no offer brings them back.
	Withdrawn(trustDomain string) []string
	// Serial is that of the offer which the stored bundle came in; zero when none is.
	Serial(trustDomain string) int64
}

// Config is what an Engine needs.
type Config struct {
	// Identity signs, verifies, and says what is in force. Required. New registers
	// with its OnChange and OnSeen.
	Identity *identity.Source
	// Keeper stores what is learned. Required.
	Keeper Keeper
	// Client reaches a peer's relay in the probe class. Required.
	Client func(trustDomain string) *http.Client
	// SealKeys keeps the keys to which relays seal; nil means that there are none.
	SealKeys SealKeys
	// View says how we see the link to a peer; nil means that we cannot say. Revision
	// asks it, too: who calls that holds no lock which View takes.
	View func(trustDomain string) (outbound, inbound report.State, pathsUp int32)
	// Versions of the link protocol that we speak; nil means Versions().
	Versions []int32
	// Release of our relay, for people.
	Release string
	// Changed is called when Describe, Trust or Allowed has something new; nil means
	// that nobody asks. It must not block.
	Changed func()
	// Log is required.
	Log *slog.Logger
	// Registry is where metrics are registered. Required.
	Registry prometheus.Registerer
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Engine exchanges offers. Its methods may be called concurrently.
type Engine struct {
	cfg     Config
	metrics metrics
	loops   sync.WaitGroup

	mu    sync.Mutex // guards what follows
	peers map[string]*peer
	ctx   context.Context // of Run; nil when it does not run
}

// New checks the configuration. Nothing is exchanged before Run.
func New(cfg Config) (*Engine, error) {
	if cfg.Identity == nil || cfg.Keeper == nil || cfg.Client == nil || cfg.Log == nil || cfg.Registry == nil {
		return nil, errors.New("offers need an identity, a keeper, clients, a logger and metrics")
	}
	if cfg.View == nil {
		cfg.View = func(string) (report.State, report.State, int32) { return report.Unknown, report.Unknown, 0 }
	}
	if cfg.Versions == nil {
		cfg.Versions = Versions()
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	e := &Engine{cfg: cfg, metrics: newMetrics(cfg.Registry), peers: map[string]*peer{}}
	cfg.Identity.OnChange(func(*identity.Snapshot) { e.nudgeAll() })
	cfg.Identity.OnSeen(e.nudge)
	return e, nil
}

// Apply takes the peers of a configuration and what is declared for each. What a
// peer said is forgotten when it is removed or Revoked.
func (e *Engine) Apply(c *config.Config) {
	e.mu.Lock()
	kept := map[string]bool{}
	for _, cfg := range c.Peers {
		if cfg.State == config.Revoked {
			continue
		}
		kept[cfg.TrustDomain] = true
		p, known := e.peers[cfg.TrustDomain]
		if !known {
			p = newPeer(e, cfg.TrustDomain)
			e.peers[cfg.TrustDomain] = p
			e.start(p)
		}
		p.declare(declarations(c, cfg))
	}
	for td, p := range e.peers {
		if !kept[td] {
			p.end()
			delete(e.peers, td)
			e.metrics.forget(td)
		}
	}
	e.mu.Unlock()
	e.cfg.Changed()
}

// Run exchanges offers with all peers until the context ends. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	e.ctx = ctx
	for _, p := range e.peers {
		e.start(p)
	}
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	e.ctx = nil
	e.mu.Unlock()
	e.loops.Wait()
	return nil
}

// start begins the exchanges with a peer, if the engine runs. The caller holds mu.
func (e *Engine) start(p *peer) {
	if e.ctx == nil || e.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(e.ctx)
	p.end = cancel
	e.loops.Go(func() { defer cancel(); p.drive(ctx) })
}

func (e *Engine) peer(trustDomain string) *peer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.peers[trustDomain]
}

// Wake exchanges offers with a peer now, whatever failed before: a link came up, or
// our view of it changed.
func (e *Engine) Wake(trustDomain string) {
	if p := e.peer(trustDomain); p != nil {
		p.wakeUp()
	}
}

// nudge is Wake for a peer to whom our offer is another one now, or whom we could not
// reach: what changed may mend that.
func (e *Engine) nudge(trustDomain string) {
	if p := e.peer(trustDomain); p != nil {
		p.nudge()
	}
}

func (e *Engine) nudgeAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.peers {
		p.nudge()
	}
}

// OfferSeen says which revision of its offer a peer names in its heartbeats. One that
// we do not have is fetched.
func (e *Engine) OfferSeen(trustDomain, revision string) {
	if p := e.peer(trustDomain); p != nil && p.misses(revision) {
		p.wakeUp()
	}
}

// Revision names our present offer to a peer, for heartbeats: 16 characters, "" for
// a peer that we do not have. It is cheap.
func (e *Engine) Revision(trustDomain string) string {
	p := e.peer(trustDomain)
	if p == nil {
		return ""
	}
	return p.draft().Revision
}

// Agreed says which version of the link protocol we speak with a peer. Without an
// offer of the peer it allows traffic, and knows no version.
func (e *Engine) Agreed(trustDomain string) Agreement {
	p := e.peer(trustDomain)
	if p == nil {
		return Agreement{OK: true, Ours: e.cfg.Versions}
	}
	return p.agreed()
}

// Allowed returns a *VersionError when we and a peer have no version of the link
// protocol in common. Then nothing but offers may flow, in either direction.
func (e *Engine) Allowed(trustDomain string) error { return e.Agreed(trustDomain).Err() }
