// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/config"
)

// Snapshot is who we are and whom we trust at one moment. It never changes, and
// all of its methods may be called concurrently.
type Snapshot struct {
	own       own
	peers     map[string]config.Peer // by trust domain, revoked ones too
	trust     map[string]PeerTrust   // by trust domain, revoked ones too
	domains   map[string]string      // trust domains by name of the peer
	bundles   *x509bundle.Set        // in force, of the peers and our own
	localOnly *x509bundle.Bundle     // the CA of the local port's clients
	sights    *sights
	configs   configs
	now       func() time.Time
}

// PeerTrust says which CA certificates speak for a peer.
type PeerTrust struct {
	// Roots in force, sorted, each once.
	Roots []*x509.Certificate
	// Base names the configured bundle (cabundle.SetHash), BaseRoots are those in it.
	Base      string
	BaseRoots []*x509.Certificate
	// Learned: Roots came from an offer of the peer, at LearnedAt.
	Learned   bool
	LearnedAt time.Time
	// Retired are the roots that the peer took out of its bundle by an offer, the
	// oldest first. Connections that chain to them may end in peace.
	Retired []RetiredRoot
}

// newSnapshot joins our own side, the configured peers and what was learned of them.
func newSnapshot(o own, peers []config.Peer, l lessons, now func() time.Time) (*Snapshot, error) {
	s := &Snapshot{
		own:       o,
		peers:     make(map[string]config.Peer, len(peers)),
		trust:     make(map[string]PeerTrust, len(peers)),
		domains:   make(map[string]string, len(peers)),
		bundles:   x509bundle.NewSet(),
		localOnly: x509bundle.FromX509Authorities(o.trustDomain, localClients(o)),
		sights:    newSights(),
		configs:   configs{all: map[configKey]*tls.Config{}},
		now:       now,
	}
	s.bundles.Add(x509bundle.FromX509Authorities(o.trustDomain, cabundle.Union(o.link.ca, o.signing.ca, o.bundle)))
	for _, p := range peers {
		td, err := spiffeid.TrustDomainFromString(p.TrustDomain)
		if err != nil {
			return nil, fmt.Errorf("reading the trust domain of peer %q: %w", p.Name, err)
		}
		if td == o.trustDomain {
			return nil, fmt.Errorf("reading peer %q: its trust domain is our own", p.Name)
		}
		base, err := parseCA([]byte(p.Bundle))
		if err != nil {
			return nil, fmt.Errorf("reading the bundle of peer %q: %w", p.Name, err)
		}
		base = cabundle.Union(base)
		trust := PeerTrust{Roots: base, Base: cabundle.SetHash(base), BaseRoots: base, Retired: l.retired[td.Name()]}
		if learned, ok := l.learned[td.Name()]; ok && learned.Base == trust.Base {
			trust.Roots, trust.Learned, trust.LearnedAt = cabundle.Union(learned.roots), true, learned.At
		}
		s.bundles.Add(x509bundle.FromX509Authorities(td, trust.Roots))
		s.peers[td.Name()], s.trust[td.Name()], s.domains[p.Name] = p, trust, td.Name()
	}
	return s, nil
}

// localClients are the CA certificates of the local port's clients: those of its CA
// file, and while one of our roots replaces another, both. A CA of its own for the
// local port stays alone.
func localClients(o own) []*x509.Certificate {
	for _, ca := range o.local.ca {
		if slices.ContainsFunc(o.bundle, ca.Equal) {
			return cabundle.Union(o.local.ca, o.bundle)
		}
	}
	return o.local.ca
}

// TrustDomain is our own.
func (s *Snapshot) TrustDomain() string { return s.own.trustDomain.Name() }

// Peer returns a configured peer by its trust domain, revoked ones too.
func (s *Snapshot) Peer(trustDomain string) (config.Peer, bool) {
	p, ok := s.peers[trustDomain]
	return p, ok
}

// PeerNamed returns a configured peer by its name, revoked ones too.
func (s *Snapshot) PeerNamed(name string) (config.Peer, bool) { return s.Peer(s.domains[name]) }

// Peers returns all configured peers, revoked ones too, by name.
func (s *Snapshot) Peers() []config.Peer {
	return slices.SortedFunc(maps.Values(s.peers), func(a, b config.Peer) int { return strings.Compare(a.Name, b.Name) })
}

// PeerTrust says which CA certificates speak for a configured peer. The caller does
// not change them.
func (s *Snapshot) PeerTrust(trustDomain string) (PeerTrust, bool) {
	t, ok := s.trust[trustDomain]
	return t, ok
}

// Advertised are the CA certificates by which peers are to know us, sorted, each
// once: those configured, or else those of our CA files. The caller does not change
// them.
func (s *Snapshot) Advertised() []*x509.Certificate { return s.own.bundle }

// BundleConfigured tells whether Advertised is configured (identity.bundle); else it
// is from our CA files.
func (s *Snapshot) BundleConfigured() bool { return s.own.configured }

// Root is the hash (cabundle.Hash) of the CA certificate that our link
// certificate chains to.
func (s *Snapshot) Root() string { return cabundle.Hash(s.own.link.root) }

// Leaves are the certificates that we show: "link", "local" and "signing".
func (s *Snapshot) Leaves() map[string]*x509.Certificate {
	return map[string]*x509.Certificate{"link": s.own.link.chain[0], "local": s.own.local.chain[0], "signing": s.own.signing.chain[0]}
}

// GetX509BundleForTrustDomain returns the bundle of a peer or our own. It makes
// the snapshot an x509bundle.Source.
func (s *Snapshot) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return s.bundles.GetX509BundleForTrustDomain(td)
}

// SigningChain returns the chain of our signing certificate, leaf first, and its
// Ed25519 key. It makes the snapshot a receipt.Signer.
func (s *Snapshot) SigningChain() ([]*x509.Certificate, crypto.Signer) {
	return s.own.signing.chain, s.own.signing.signer
}

// LinkSerial is the serial of our link certificate, hexadecimal. It differs after
// each renewal.
func (s *Snapshot) LinkSerial() string { return s.own.link.chain[0].SerialNumber.Text(16) }
