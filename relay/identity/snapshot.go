// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/relay/config"
)

// Snapshot is who we are and whom we trust at one moment. It never changes, and
// all of its methods may be called concurrently.
type Snapshot struct {
	own       own
	peers     map[string]config.Peer // by trust domain, revoked ones too
	bundles   *x509bundle.Set        // of the peers and our own
	localOnly *x509bundle.Bundle     // the CA of the local port's clients
	now       func() time.Time
}

// newSnapshot joins our own side and the configured peers.
func newSnapshot(o own, peers []config.Peer, now func() time.Time) (*Snapshot, error) {
	s := &Snapshot{
		own:       o,
		peers:     make(map[string]config.Peer, len(peers)),
		bundles:   x509bundle.NewSet(),
		localOnly: x509bundle.FromX509Authorities(o.trustDomain, o.local.ca),
		now:       now,
	}
	ours := x509bundle.FromX509Authorities(o.trustDomain, o.link.ca)
	for _, ca := range o.signing.ca {
		ours.AddX509Authority(ca)
	}
	s.bundles.Add(ours)
	for _, p := range peers {
		td, err := spiffeid.TrustDomainFromString(p.TrustDomain)
		if err != nil {
			return nil, fmt.Errorf("reading the trust domain of peer %q: %w", p.Name, err)
		}
		if td == o.trustDomain {
			return nil, fmt.Errorf("reading peer %q: its trust domain is our own", p.Name)
		}
		authorities, err := parseCA([]byte(p.Bundle))
		if err != nil {
			return nil, fmt.Errorf("reading the bundle of peer %q: %w", p.Name, err)
		}
		s.bundles.Add(x509bundle.FromX509Authorities(td, authorities))
		s.peers[td.Name()] = p
	}
	return s, nil
}

// TrustDomain is our own.
func (s *Snapshot) TrustDomain() string { return s.own.trustDomain.Name() }

// Peer returns a configured peer by its trust domain, revoked ones too.
func (s *Snapshot) Peer(trustDomain string) (config.Peer, bool) {
	p, ok := s.peers[trustDomain]
	return p, ok
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
