// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/probe"
	"github.com/certlink/certlink/relay/store"
)

// Config is what a Checker needs.
type Config struct {
	// Bundles returns the trust that is live: identity.Snapshot. Required.
	Bundles func() x509bundle.Source
	// Inspect opens a connection and says what it showed: link.Pool. Required.
	Inspect func(ctx context.Context, at link.Path, class link.Class) (link.Sighting, *http.Client, func())
	// Paths are those of a peer, as it dials us now too: link.Pool. Required.
	Paths func(trustDomain string) []link.Path
	// Ask sends a probe over a client: probe.Prober. Required.
	Ask func(ctx context.Context, client *http.Client, trustDomain string) (probe.Answer, error)
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Checker looks at peers.
type Checker struct {
	cfg Config

	mu    sync.Mutex // guards what follows
	peers map[string]known
	busy  map[string]bool
}

// known is a peer, and whether we have a hotline to it.
type known struct {
	peer    config.Peer
	hotline bool
}

// New checks the configuration.
func New(cfg Config) (*Checker, error) {
	if cfg.Bundles == nil || cfg.Inspect == nil || cfg.Paths == nil || cfg.Ask == nil {
		return nil, errors.New("checker needs bundles, a link and a prober")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Checker{cfg: cfg, peers: map[string]known{}, busy: map[string]bool{}}, nil
}

// Apply takes the peers of a configuration. It may be called at any time.
func (c *Checker) Apply(cfg *config.Config) {
	peers := make(map[string]known, len(cfg.Peers))
	for _, p := range cfg.Peers {
		peers[p.Name] = known{peer: p}
	}
	for _, h := range cfg.Hotlines {
		if p, ok := peers[h.Peer]; ok {
			p.hotline = true
			peers[h.Peer] = p
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers = peers
}

// Check looks at all addresses of a peer at once, or, if we have none, at the
// addresses of ours that the peer has dialled, over its connections. It returns
// within desk.MaxCheck.
func (c *Checker) Check(ctx context.Context, name string) (desk.Check, error) {
	p, release, err := c.take(name)
	if err != nil {
		return desk.Check{}, err
	}
	defer release()
	authorities, err := c.authorities(p.peer.TrustDomain)
	if err != nil {
		return desk.Check{}, err
	}
	targets, err := c.targets(p.peer)
	if err != nil {
		return desk.Check{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, desk.MaxCheck)
	defer cancel()
	result := desk.Check{
		Peer: name, TrustDomain: p.peer.TrustDomain, State: string(p.peer.State), CheckedAt: c.cfg.Clock(),
		Trusts: []string{}, Endpoints: make([]desk.EndpointCheck, len(targets)),
	}
	for _, ca := range authorities {
		result.Trusts = append(result.Trusts, fingerprint(ca))
	}
	var looks sync.WaitGroup
	for i, target := range targets {
		looks.Go(func() {
			result.Endpoints[i] = describe(target, c.look(ctx, p, authorities, target.at))
		})
	}
	looks.Wait()
	return result, nil
}

// take finds a peer and keeps others from checking it until it is released.
func (c *Checker) take(name string) (known, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.peers[name]
	switch {
	case !ok:
		return known{}, nil, fmt.Errorf("our relay has no peer of this name in its configuration: %w", store.ErrNotFound)
	case p.peer.State == config.Revoked:
		return known{}, nil, invalid(name, "is Revoked by our side: the relay has nothing to do with it")
	case c.busy[name]:
		return known{}, nil, fmt.Errorf("peer %q is being checked: try again in some seconds: %w", name, desk.ErrBusy)
	}
	c.busy[name] = true
	return p, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.busy, name)
	}, nil
}

// target is what is looked at.
type target struct {
	at    link.Path
	label string
}

// dialledByPeer is the label of an address of ours that the peer has dialled.
const dialledByPeer = "ours, dialled by the peer"

// targets lists what to look at.
func (c *Checker) targets(peer config.Peer) ([]target, error) {
	var targets []target
	for _, e := range peer.Endpoints {
		targets = append(targets, target{at: link.Path{TrustDomain: peer.TrustDomain, Address: e.Address}, label: e.Label})
	}
	if len(targets) > 0 {
		return targets, nil
	}
	for _, at := range c.cfg.Paths(peer.TrustDomain) {
		if at.Accepted {
			targets = append(targets, target{at: at, label: dialledByPeer})
		}
	}
	if len(targets) == 0 {
		return nil, invalid(peer.Name, "has no address in our configuration, it dials us, and it has no connection to us now: its relay is down, cannot reach our address, or does not have our card; let the peer check us")
	}
	return targets, nil
}

func invalid(name, reason string) error {
	return &desk.InvalidError{Faults: []desk.Fault{{Field: fmt.Sprintf("peer %q", name), Reason: reason}}}
}

func (c *Checker) authorities(trustDomain string) ([]*x509.Certificate, error) {
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return nil, fmt.Errorf("reading trust domain %q: %w", trustDomain, err)
	}
	bundle, err := c.cfg.Bundles().GetX509BundleForTrustDomain(td)
	if err != nil {
		return nil, fmt.Errorf("reading our bundle for %q: %w", trustDomain, err)
	}
	return bundle.X509Authorities(), nil
}

// describe puts what one address showed into words.
func describe(t target, s sight) desk.EndpointCheck {
	layers, fails := judge(s)
	facts := s.opened.Facts()
	d := desk.EndpointCheck{
		Address: t.at.Address, Label: t.label, Fails: fails, Layers: layers,
		Remote: s.opened.Remote, Subject: s.subject, Issuer: s.issuer, NotAfter: s.notAfter,
		TLSVersion: facts.Version, Group: facts.Group,
	}
	if s.answer != nil && s.answer.err == nil {
		offset := s.answer.offset.Milliseconds()
		d.OffsetMilliseconds = &offset
		d.RoundTripMilliseconds = float64(s.answer.roundTrip.Microseconds()) / 1000
	}
	return d
}
