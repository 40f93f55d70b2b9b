// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/receipt"
)

// farthest is how far a serial may be ahead of our clock. Without a bound, one offer
// with the largest serial, signed with a stolen key, would be the peer's last for ever.
const farthest = 10 * 365 * 24 * time.Hour

// storeTimeout bounds the storing of a bundle.
const storeTimeout = 15 * time.Second

// The reasons for which offers are refused, for metrics.
const (
	reasonMalformed = "malformed"
	reasonSigner    = "signer"
	reasonAddress   = "address"
)

// offerError says why an offer of a peer does not count. Its text does not change
// while the failure lasts.
type offerError struct {
	reason string
	text   string
	err    error
}

func (e *offerError) Error() string { return e.text }
func (e *offerError) Unwrap() error { return e.err }

// take judges an offer that came over a connection which is authenticated as the
// peer's relay. When it returns nil, the offer counts or is older than the one that
// does; a bundle in it that came into force is on stable storage.
func (p *peer) take(ctx context.Context, jws []byte) error {
	p.accepting.Lock()
	defer p.accepting.Unlock()
	now := p.engine.cfg.Identity.Current()
	opened, d, unknown, err := p.open(now, jws)
	if err != nil {
		p.refused(err)
		return err
	}
	p.mu.Lock()
	stale := p.last != nil && d.Serial <= p.last.Serial
	p.mu.Unlock()
	if stale {
		p.engine.metrics.received.WithLabelValues(p.trustDomain, "stale").Inc()
		return nil
	}
	p.takeBundle(ctx, now, opened, d)
	p.takeKey(ctx, jws, d)
	next := &received{Document: d, unknown: unknown, agreement: Agree(p.engine.cfg.Versions, d.Versions), at: p.engine.cfg.Clock().UTC()}
	next.SealKey = nil
	next.Bundle = "" // it is in force, or waits, or does not count
	p.mu.Lock()
	before := p.last
	p.last, p.takeErr = next, nil
	p.mu.Unlock()
	p.engine.metrics.received.WithLabelValues(p.trustDomain, "accepted").Inc()
	p.tell(before, next)
	return nil
}

// tell says what an offer changed.
func (p *peer) tell(before, next *received) {
	if before == nil || before.agreement.OK != next.agreement.OK || before.agreement.Version != next.agreement.Version {
		log := p.engine.cfg.Log.With("peer", p.trustDomain, "ours", next.agreement.Ours, "theirs", next.agreement.Theirs)
		if next.agreement.OK {
			log.Info("protocol version agreed", "version", next.agreement.Version, "release", next.Release)
		} else {
			log.Warn("no protocol version in common: only offers are exchanged", "release", next.Release)
		}
	}
	p.engine.cfg.Changed()
}

func (p *peer) refused(err error) {
	reason := reasonMalformed
	if known, ok := errors.AsType[*offerError](err); ok {
		reason = known.reason
	}
	p.engine.metrics.received.WithLabelValues(p.trustDomain, "refused").Inc()
	p.engine.metrics.refused.WithLabelValues(reason).Inc()
	p.mu.Lock()
	news := p.takeErr == nil || p.takeErr.Error() != err.Error()
	p.takeErr = err
	p.mu.Unlock()
	if news {
		p.engine.cfg.Log.Warn("an offer was refused", "peer", p.trustDomain, "error", err, "cause", errors.Unwrap(err))
		p.engine.cfg.Changed()
	}
}

// open verifies who signed an offer, and for whom.
func (p *peer) open(now *identity.Snapshot, jws []byte) (receipt.Opened, Document, []string, error) {
	if len(jws) > MaxBytes {
		return receipt.Opened{}, Document{}, nil, &offerError{reason: reasonMalformed, text: fmt.Sprintf("the peer's offer is longer than %d bytes", MaxBytes)}
	}
	opened, err := receipt.Open(now, Type, jws, p.engine.cfg.Clock())
	if err != nil {
		return opened, Document{}, nil, signatureError(err)
	}
	if opened.TrustDomain != p.trustDomain {
		return opened, Document{}, nil, &offerError{reason: reasonSigner, text: fmt.Sprintf(
			"the peer's offer is signed by %q, which is not the peer: a relay may offer for itself only", opened.TrustDomain)}
	}
	d, unknown, err := parse(opened.Payload)
	if err != nil {
		return opened, d, nil, &offerError{reason: reasonMalformed, err: err, text: "the peer's offer cannot be read: " + printable(err.Error(), 200)}
	}
	if d.From != p.trustDomain || d.To != now.TrustDomain() {
		return opened, d, nil, &offerError{reason: reasonAddress, text: fmt.Sprintf(
			"the peer's offer is from %q to %q, not from %q to us", printable(d.From, maxField), printable(d.To, maxField), p.trustDomain)}
	}
	if d.Serial > p.engine.cfg.Clock().Add(farthest).UnixMicro() {
		return opened, d, nil, &offerError{reason: reasonMalformed, text: "the serial of the peer's offer is more than ten years ahead of our clock: " +
			"one of the two clocks is wrong; after the peer has corrected its own, its relay must be restarted"}
	}
	return opened, d, unknown, nil
}

// signatureError says in words that do not change with the time what is wrong with
// the statement.
func signatureError(err error) error {
	e := &offerError{reason: reasonSigner, err: err}
	switch {
	case errors.Is(err, receipt.ErrExpired):
		e.text = "the certificate that signs the peer's offer is outside its validity: the peer must renew its signing certificate, or one of the two clocks is wrong"
	case errors.Is(err, receipt.ErrUntrusted):
		e.text = "the certificate that signs the peer's offer does not chain to our bundle for the peer: compare fingerprints, and put the peer's new card into our PeerCERT"
	case errors.Is(err, receipt.ErrSigner):
		e.text = "the certificate that signs the peer's offer is not its signing certificate"
	case errors.Is(err, receipt.ErrSignature):
		e.text = "the signature of the peer's offer is wrong"
	default:
		e.reason, e.text = reasonMalformed, "what the peer sent is no signed offer"
	}
	return e
}

// takeBundle decides about the bundle in an offer, and does it.
//
//  1. Keeper.Learn stores it, then puts it into force. A crash before, between or
//     after leaves what Keeper.Learn says; the peer was told nothing.
//  2. Our next offer, often the answer, acknowledges it: acceptedRoots are those in
//     force. A crash before that makes the peer ask again.
func (p *peer) takeBundle(ctx context.Context, now *identity.Snapshot, opened receipt.Opened, d Document) {
	trust, known := now.PeerTrust(p.trustDomain)
	cfg, _ := now.Peer(p.trustDomain)
	if !known || cfg.State == config.Revoked {
		return
	}
	// A peer that hangs up meanwhile does not leave a step half done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	seen, _ := p.engine.cfg.Identity.Seen(p.trustDomain)
	v := judge(offered{
		trustDomain: p.trustDomain, bundle: d.Bundle, hash: d.BundleHash, serial: d.Serial,
		trust: trust, rotation: cfg.Rotation, learned: p.engine.cfg.Keeper.Serial(p.trustDomain), withdrawn: p.engine.cfg.Keeper.Withdrawn(p.trustDomain),
		signing: opened.Chain, seen: seen.Chain, now: p.engine.cfg.Clock(),
	})
	err, result := v.err, "refused"
	switch v.action {
	case keep:
		p.setBundle(verdict{}, v.note)
		return
	case learn:
		result = "learned"
		err = p.engine.cfg.Keeper.Learn(ctx, p.trustDomain, trust.Base, v.roots, d.Serial)
	case wait:
		result = "waiting"
		if stored := p.engine.cfg.Keeper.Offered(ctx, p.trustDomain, v.roots, d.Serial); stored != nil {
			p.engine.cfg.Log.Error("a bundle that waits for a person is not recorded", "peer", p.trustDomain, "error", stored)
		}
	case refuse:
	}
	if v.action == learn && err != nil {
		result = "failed"
		err = fmt.Errorf("the bundle that the peer offers could not be put into force, the one before stays: %w", err)
	}
	if p.setBundle(v, cmp.Or(err, v.note)) {
		p.engine.metrics.bundles.WithLabelValues(p.trustDomain, result).Inc()
	}
}

// setBundle notes what became of a bundle, and tells whether that is news.
func (p *peer) setBundle(v verdict, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := v.action == learn && (err == nil || errors.Is(err, v.note))
	if p.trustErr == nil != (err == nil) || err != nil && p.trustErr.Error() != err.Error() {
		news = true
	}
	p.trustErr = err
	var waiting = v.roots
	if v.action != wait {
		waiting = nil
	}
	if !sameCertificates(p.waiting, waiting) {
		news, p.waiting = true, waiting
	}
	if err != nil && news {
		p.engine.cfg.Log.Warn("a peer's bundle is not in force, or not all of it", "peer", p.trustDomain, "error", err)
	}
	return news
}
