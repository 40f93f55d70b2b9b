// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package transit takes requests of the hotline through a peer of both sides, sealed,
// while no direct path is up. docs/transit.md describes it.
//
// It promises:
//
//   - The peer in the middle learns the two trust domains, times and padded sizes. It can
//     neither read, change nor make up a request or an answer: both are sealed to their
//     receiver (package seal), signed by their sender inside (package receipt), and an
//     answer is bound to its request.
//   - A request counts once: its id is on stable storage before it is acted on, for as
//     long as its time would be accepted.
//   - What is dropped on the way, or answered by anybody but its receiver, ends as an
//     error that names the peer in the middle, in bounded time; the next one is tried.
//   - Nothing crosses unless all three declare it: the peer in the middle allows transit
//     for both ends, and each end names it for the hotline to the other.
//   - What came through others goes no further: there is one hop.
//   - What others may use of us is bounded: bytes, requests at once, and all of it before
//     it is looked at.
//
// It does not hide from the peer in the middle who talks to whom, and when. It keeps no
// messages: what does not get through stays in the sender's queue.
package transit

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/seal"
	"github.com/certlink/certlink/relay/store"
)

// Identity is who we are and whom we trust at one moment. identity.Snapshot is one.
type Identity interface {
	receipt.Signer
	receipt.Verifier
	// TrustDomain is our own.
	TrustDomain() string
}

// Keys has the keys for sealing. keyring.Ring is one.
type Keys interface {
	// Private returns our keys, that with the id among them if we have it.
	Private(ctx context.Context, id seal.KeyID) []seal.PrivateKey
	// Peer returns the key to which we seal for a peer.
	Peer(ctx context.Context, trustDomain string) (seal.PublicKey, error)
}

// Config of an Engine.
type Config struct {
	// Identity returns our present identity. Required.
	Identity func() Identity
	// Keys for sealing. Required.
	Keys Keys
	// Store notes what was taken. Required.
	Store store.Sealing
	// Direct returns the client whose requests go to a trust domain directly, in the
	// class of the hotline. Required.
	Direct func(trustDomain string) *http.Client
	// Down tells whether no direct path to a peer is up. Required.
	Down func(trustDomain string) bool
	// Carries tells whether a peer says that it carries for us, Through through whom a
	// peer says that it takes our requests; known is false before its first offer. Required.
	Carries func(trustDomain string) (carries, known bool)
	Through func(trustDomain string) (through []string, known bool)
	// Serve handles requests that came through others, as if their sender had made
	// them directly: all below link.PathHotline. Required.
	Serve http.Handler
	// OnUp is called when a peer can be reached through another, and was not. It must not block.
	OnUp func(trustDomain string)
	// Changed is called when Describe has something new. It must not block. Nil means nobody.
	Changed func()
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Log is required.
	Log *slog.Logger
	// Registry takes the metrics. Nil means none.
	Registry prometheus.Registerer
}

// Engine is our end of transit: as sender, as receiver, and in the middle. Its methods may
// be called concurrently.
type Engine struct {
	cfg     Config
	metrics *metrics
	carried *quotas // by whose request it is
	taken   *quotas // by whom it came
	poke    chan struct{}

	mu    sync.Mutex // guards what follows; what it points to is replaced, never changed
	peers map[string]config.Peer
	lines map[string]*line // by trust domain of the other end
}

// line is a hotline whose messages may go through others.
type line struct {
	trustDomain string
	routes      []*route

	mu    sync.Mutex // guards what follows
	via   string     // trust domain through which a request got through last; "" for directly
	since time.Time
}

// route is one way through another peer.
type route struct {
	peer config.Peer

	mu     sync.Mutex // guards what follows
	tried  time.Time
	proven bool
	err    string
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Identity == nil || cfg.Keys == nil || cfg.Store == nil || cfg.Direct == nil || cfg.Down == nil ||
		cfg.Carries == nil || cfg.Through == nil || cfg.Serve == nil || cfg.Log == nil {
		return nil, errors.New("building transit: identity, keys, store, direct, down, carries, through, serve and log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if cfg.OnUp == nil {
		cfg.OnUp = func(string) {}
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, err
	}
	return &Engine{
		cfg: cfg, metrics: m, carried: newQuotas(cfg.Now), taken: newQuotas(cfg.Now), poke: make(chan struct{}, 1),
		peers: map[string]config.Peer{}, lines: map[string]*line{},
	}, nil
}

// Apply takes a new live configuration.
func (e *Engine) Apply(c *config.Config) {
	byName, byDomain := map[string]config.Peer{}, map[string]config.Peer{}
	for _, p := range c.Peers {
		byName[p.Name], byDomain[p.TrustDomain] = p, p
	}
	lines := map[string]*line{}
	e.mu.Lock()
	before := e.lines
	for _, h := range c.Hotlines {
		p, ok := byName[h.Peer]
		if !ok || p.State == config.Revoked || len(h.Transit) == 0 {
			continue
		}
		l := &line{trustDomain: p.TrustDomain}
		for _, name := range h.Transit {
			if via, ok := byName[name]; ok && carries(via.State) {
				l.routes = append(l.routes, &route{peer: via})
			}
		}
		lines[p.TrustDomain] = kept(before[p.TrustDomain], l)
	}
	e.peers, e.lines = byDomain, lines
	e.mu.Unlock()
	e.wake()
	e.cfg.Changed()
}

// kept is the line as it was if nothing changed.
func kept(before, now *line) *line {
	if before == nil || !slices.EqualFunc(before.routes, now.routes, func(a, b *route) bool {
		return a.peer.Name == b.peer.Name && a.peer.TrustDomain == b.peer.TrustDomain
	}) {
		return now
	}
	return before
}

// carries tells whether a peer in this state takes part in transit.
func carries(s config.PeerState) bool {
	return s == config.Active || s == config.Suspended || s == ""
}

func (e *Engine) lineTo(trustDomain string) *line {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lines[trustDomain]
}

func (e *Engine) peer(trustDomain string) (config.Peer, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.peers[trustDomain]
	return p, ok
}

// bytesPerSecond is what a peer may use of us.
func (e *Engine) bytesPerSecond(trustDomain string) int64 {
	p, _ := e.peer(trustDomain)
	return p.Limits.TransitBytesPerSecond
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

func (e *Engine) wake() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}
