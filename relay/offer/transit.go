// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/receipt"
)

// Bounds of what an offer says about transit.
const (
	// maxSealKey is the longest key to which others seal.
	maxSealKey = 4 << 10
	maxTransit = 8
)

// SealKeys keeps the keys to which relays seal what travels through others' hands.
// keyring.Ring is one.
type SealKeys interface {
	// Public is our present key; nil while there is none.
	Public() []byte
	// Learn keeps a peer's key with the offer in which it was signed; durable on return.
	Learn(ctx context.Context, trustDomain string, public, statement []byte, at time.Time) error
}

// sealKey is our own key for our next offer.
func (e *Engine) sealKey() []byte {
	if e.cfg.SealKeys == nil {
		return nil
	}
	return e.cfg.SealKeys.Public()
}

// KeyChanged tells that our key to which others seal is another one.
func (e *Engine) KeyChanged() { e.nudgeAll() }

// takeKey keeps the key of an offer that counts. A crash before leaves the one before,
// to which the peer still has the private key.
func (p *peer) takeKey(ctx context.Context, jws []byte, d Document) {
	if p.engine.cfg.SealKeys == nil || len(d.SealKey) == 0 {
		return
	}
	// A peer that hangs up meanwhile does not leave a step half done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := p.engine.cfg.SealKeys.Learn(ctx, p.trustDomain, d.SealKey, jws, p.engine.cfg.Clock()); err != nil {
		p.engine.cfg.Log.Error("the key to which we seal what is for a peer is not stored", "peer", p.trustDomain, "error", err)
	}
}

// SealKeyOf returns the key that a stored offer vouches for, and whose it is: signed, at
// the time at which it came, under the bundle that is in force now.
func SealKeyOf(v receipt.Verifier, statement []byte, at time.Time) (trustDomain string, public []byte, err error) {
	opened, err := receipt.Open(v, Type, statement, at)
	if err != nil {
		return "", nil, err
	}
	d, _, err := parse(opened.Payload)
	if err != nil {
		return "", nil, err
	}
	if d.From != opened.TrustDomain || len(d.SealKey) == 0 {
		return "", nil, fmt.Errorf("the stored offer of %s holds no key of its own", opened.TrustDomain)
	}
	return opened.TrustDomain, bytes.Clone(d.SealKey), nil
}

// declareTransit reads through whom a peer's messages may come, and whether we carry for it.
func (d *declared) declareTransit(c *config.Config) {
	d.carries = d.peer.Transit == config.TransitAllowed
	domains := map[string]string{}
	for _, p := range c.Peers {
		domains[p.Name] = p.TrustDomain
	}
	for _, h := range c.Hotlines {
		if h.Peer != d.peer.Name {
			continue
		}
		for _, name := range h.Transit {
			d.transit = append(d.transit, domains[name])
		}
	}
	slices.Sort(d.transit)
}

// Carries tells whether a peer said that it carries messages between us and others, and
// Through, the trust domains through which it takes ours; known is false before its first
// offer.
func (e *Engine) Carries(trustDomain string) (carries, known bool) {
	d := e.lastOf(trustDomain)
	return d != nil && d.Carries, d != nil
}

// Through returns the trust domains through which a peer takes our messages; known is
// false before its first offer.
func (e *Engine) Through(trustDomain string) (through []string, known bool) {
	d := e.lastOf(trustDomain)
	if d == nil {
		return nil, false
	}
	return slices.Clone(d.Transit), true
}

func (e *Engine) lastOf(trustDomain string) *received {
	p := e.peer(trustDomain)
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}
