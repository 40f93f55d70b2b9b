// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// maxChain is the largest number of certificates that the other end may show.
const maxChain = 8

// relayPath is the path of the SPIFFE ID of a relay.
const relayPath = "/relay"

// VerifyError says why the certificate at the other end was refused.
type VerifyError struct {
	// Cause in the words of the report.
	Cause report.Cause
	// TrustDomain that the leaf claims, "" when it claims none. It is not proven.
	TrustDomain string
	// Chains tells, with the cause Expired, that the chain would end in our bundle
	// if it, and the bundle, were valid now: time is all that is wrong.
	Chains bool
	// Reason is one line for people: what is wrong, on which side, what to do.
	Reason string
	// Err is what verification said, if anything.
	Err error
}

// Error returns the reason.
func (e *VerifyError) Error() string { return e.Reason }

// Unwrap returns what verification said.
func (e *VerifyError) Unwrap() error { return e.Err }

// VerifyPeer verifies a chain, leaf first, that a peer showed. It returns the
// leaf's SPIFFE ID and the peer as configured, or a *VerifyError. The peer is
// never Revoked.
func (s *Snapshot) VerifyPeer(chain []*x509.Certificate) (spiffeid.ID, config.Peer, error) {
	id, peer, _, err := s.verifyPeer(chain)
	return id, peer, err
}

// handshake is VerifyPeer for a chain that is shown just now.
func (s *Snapshot) handshake(chain []*x509.Certificate) (spiffeid.ID, error) {
	id, _, root, err := s.verifyPeer(chain)
	if err == nil && id.Path() == relayPath {
		s.sights.note(id.TrustDomain().Name(), chain, root, s.now())
	}
	return id, err
}

// Retired tells whether a chain, which VerifyPeer refuses, is one that the peer
// itself ended by an offer: it leads to a root that the peer took out of its
// bundle, and all else is well. A connection under it takes nothing new and ends
// with what it carries. It is false for what a person took out of the configured
// bundle, for a peer that is Revoked or removed, and outside the chain's validity.
func (s *Snapshot) Retired(chain []*x509.Certificate) bool {
	id, err := claim(chain)
	if err != nil {
		return false
	}
	td := id.TrustDomain()
	peer, known := s.peers[td.Name()]
	trust := s.trust[td.Name()]
	if !known || peer.State == config.Revoked || len(trust.Retired) == 0 {
		return false
	}
	if _, _, err := x509svid.Verify(chain, s.bundles, x509svid.WithTime(s.now())); err == nil {
		return false
	}
	both := x509bundle.FromX509Authorities(td, trust.Roots)
	for _, r := range trust.Retired {
		both.AddX509Authority(r.Root)
	}
	_, _, err = x509svid.Verify(chain, both, x509svid.WithTime(s.now()))
	return err == nil
}

// verifyPeer is VerifyPeer, and says to which root the chain leads.
func (s *Snapshot) verifyPeer(chain []*x509.Certificate) (spiffeid.ID, config.Peer, *x509.Certificate, error) {
	id, err := claim(chain)
	if err != nil {
		return spiffeid.ID{}, config.Peer{}, nil, err
	}
	td := id.TrustDomain().Name()
	peer, known := s.peers[td]
	if !known {
		return id, peer, nil, &VerifyError{Cause: report.CauseUntrusted, TrustDomain: td, Reason: fmt.Sprintf(
			"the certificate names trust domain %q, which no peer of ours has: add a peer with the card of that CERT, if it is to be one", td)}
	}
	if peer.State == config.Revoked {
		return id, peer, nil, &VerifyError{Cause: report.CauseUntrusted, TrustDomain: td, Reason: fmt.Sprintf(
			"peer %q is Revoked by our side", peer.Name)}
	}
	_, chains, err := x509svid.Verify(chain, s.bundles, x509svid.WithTime(s.now()))
	if err != nil {
		return id, peer, nil, s.explain(chain, id, peer, err)
	}
	return id, peer, youngestRoot(chains), nil
}

// verifyExpected is VerifyPeer for a connection that we opened to a peer's relay.
func (s *Snapshot) verifyExpected(chain []*x509.Certificate, trustDomain string) error {
	id, err := claim(chain)
	if err != nil {
		return err
	}
	if got := id.TrustDomain().Name(); got != trustDomain {
		return &VerifyError{Cause: report.CauseTrustDomain, TrustDomain: got, Reason: fmt.Sprintf(
			"the relay at this address shows a certificate for trust domain %q, not %q: correct the address or the trust domain of our peer", got, trustDomain)}
	}
	if id, err = s.handshake(chain); err != nil {
		return err
	}
	if id.Path() != relayPath {
		return &VerifyError{Cause: report.CauseTrustDomain, TrustDomain: trustDomain, Reason: fmt.Sprintf(
			"the certificate at this address is for %s, not for a relay: the peer must show that of spiffe://%s/relay there", id, trustDomain)}
	}
	return nil
}

// VerifyLocal verifies the chain of a client of our own local port, or returns a
// *VerifyError.
func (s *Snapshot) VerifyLocal(chain []*x509.Certificate) (spiffeid.ID, error) {
	if _, err := claim(chain); err != nil {
		return spiffeid.ID{}, err
	}
	id, _, err := x509svid.Verify(chain, s.localOnly, x509svid.WithTime(s.now()))
	if err != nil {
		return spiffeid.ID{}, &VerifyError{Cause: report.CauseUntrusted, Err: err,
			Reason: "the client's certificate is not one of our own CA for the local port, or is outside its validity"}
	}
	return id, nil
}

// claim reads the SPIFFE ID of the leaf. Nothing is verified yet.
func claim(chain []*x509.Certificate) (spiffeid.ID, error) {
	if len(chain) == 0 || len(chain) > maxChain {
		return spiffeid.ID{}, &VerifyError{Cause: report.CauseUntrusted, Reason: fmt.Sprintf(
			"the other end shows %d certificates; 1 to %d are accepted", len(chain), maxChain)}
	}
	id, err := x509svid.IDFromCert(chain[0])
	if err != nil {
		return spiffeid.ID{}, &VerifyError{Cause: report.CauseTrustDomain, Err: err,
			Reason: "the certificate has no SPIFFE ID (one URI SAN, spiffe://TRUSTDOMAIN/relay): the address is not that of a relay, or the peer must issue it anew"}
	}
	return id, nil
}

// explain turns what verification said into the words of the report.
func (s *Snapshot) explain(chain []*x509.Certificate, id spiffeid.ID, peer config.Peer, err error) error {
	e := &VerifyError{Cause: report.CauseUntrusted, TrustDomain: id.TrustDomain().Name(), Err: err}
	now := s.now()
	for i, c := range chain {
		if now.After(c.NotAfter) || now.Before(c.NotBefore) {
			e.Cause, e.Chains = report.CauseExpired, s.chains(chain, id)
			e.Reason = fmt.Sprintf("certificate %d of the chain that %q shows is valid only from %s to %s: the peer must renew it, or one of the two clocks is wrong",
				i+1, peer.TrustDomain, stamp(c.NotBefore), stamp(c.NotAfter))
			return e
		}
	}
	if bundle, ok := s.bundles.Get(id.TrustDomain()); ok && allExpired(s, bundle) {
		e.Cause, e.Chains = report.CauseExpired, s.chains(chain, id)
		e.Reason = fmt.Sprintf("every CA certificate in our bundle for %q is outside its validity: get the peer's new card", peer.TrustDomain)
		return e
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason != x509.Expired {
		e.Reason = fmt.Sprintf("a certificate of %q breaks a rule of X.509 (%v): the peer must issue it anew", peer.TrustDomain, invalid)
		return e
	}
	e.Reason = fmt.Sprintf("the certificate of %q does not chain to our bundle for it: compare fingerprints, and correct our bundle or ask the peer to show the certificate of its own CA", peer.TrustDomain)
	return e
}

// chains tells whether a chain that time refuses would be accepted otherwise.
func (s *Snapshot) chains(chain []*x509.Certificate, id spiffeid.ID) bool {
	bundle, ok := s.bundles.Get(id.TrustDomain())
	if !ok {
		return false
	}
	_, _, err := x509svid.Verify(chain, bundle, x509svid.WithTime(overlap(chain, bundle.X509Authorities())))
	return err == nil
}

func allExpired(s *Snapshot, bundle *x509bundle.Bundle) bool {
	now := s.now()
	for _, ca := range bundle.X509Authorities() {
		if !now.After(ca.NotAfter) && !now.Before(ca.NotBefore) {
			return false
		}
	}
	return true
}
