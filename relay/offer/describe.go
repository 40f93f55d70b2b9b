// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/report"
)

// step is how coarse the time of a renewed offer is in the report.
const step = time.Minute

// Describe returns what a peer says in its last offer, for the report; nil before its
// first one.
func (e *Engine) Describe(trustDomain string) *report.Offer {
	p := e.peer(trustDomain)
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		return nil
	}
	d := p.last
	out := &report.Offer{
		ReceivedAt: d.at.Truncate(step), Versions: slices.Clone(d.Versions), Version: d.agreement.Version, Release: d.Release,
		State: d.State, Card: d.Card, AcceptedRoots: slices.Clone(d.AcceptedRoots), SeenRoot: d.SeenRoot,
		Exports: slices.Clone(d.Exports), Imports: slices.Clone(d.Imports),
		ServiceExports: slices.Clone(d.ServiceExports), ServiceImports: slices.Clone(d.ServiceImports), Hotline: d.Hotline,
		Outbound: d.Outbound, Inbound: d.Inbound, PathsUp: d.PathsUp, Unknown: slices.Clone(d.unknown),
	}
	// That the peer cannot be reached is for the link to tell.
	answered, isAnswer := errors.AsType[*answerError](p.sendErr)
	switch {
	case p.takeErr != nil:
		out.Error = p.takeErr.Error()
	case isAnswer:
		out.Error = answered.Error()
	}
	return out
}

// Trust says which CA certificates speak for a configured peer, and which one it
// offers; nil for a peer that we do not have.
func (e *Engine) Trust(trustDomain string) *report.Trust {
	now := e.cfg.Identity.Current()
	if now == nil {
		return nil
	}
	trust, known := now.PeerTrust(trustDomain)
	if !known {
		return nil
	}
	out := &report.Trust{
		Roots: cabundle.Hashes(trust.Roots), Fingerprint: cabundle.Fingerprint(trustDomain, trust.Roots),
		Learned: trust.Learned, LearnedAt: trust.LearnedAt,
	}
	p := e.peer(trustDomain)
	if p == nil {
		return out
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trustErr != nil {
		out.Error = p.trustErr.Error()
	}
	// What waits may have been put into the configuration since it was offered.
	if p.waiting != nil && !sameCertificates(p.waiting, trust.Roots) {
		out.OfferedFingerprint = cabundle.Fingerprint(trustDomain, p.waiting)
		out.OfferedRoots, out.OfferedBundle = cabundle.Hashes(p.waiting), cabundle.Encode(p.waiting)
	}
	return out
}

// Complete fills Offer and Trust of a peer in the report, by its name.
func (e *Engine) Complete(r *report.Peer) {
	now := e.cfg.Identity.Current()
	if now == nil {
		return
	}
	cfg, known := now.PeerNamed(r.Name)
	if !known {
		return
	}
	r.Offer, r.Trust = e.Describe(cfg.TrustDomain), e.Trust(cfg.TrustDomain)
	if p := e.peer(cfg.TrustDomain); p != nil {
		p.calm(r, e.cfg.Clock())
	}
}

func sameCertificates(a, b []*x509.Certificate) bool {
	return slices.EqualFunc(a, b, (*x509.Certificate).Equal)
}
