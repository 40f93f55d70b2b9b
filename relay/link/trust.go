// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/x509"
	"time"

	"github.com/certlink/certlink/relay/identity"
)

// verdict on an open connection under a snapshot.
type verdict int

const (
	stays verdict = iota
	// drains: it takes no new stream, and what it carries ends in peace.
	drains
	falls
)

// retirer is a snapshot that knows what the peers themselves have retired.
type retirer interface {
	// Retired tells whether a chain was valid under a bundle that the peer itself
	// replaced by an offer.
	Retired(chain []*x509.Certificate) bool
}

// judge says what a change of trust means to an open connection.
func judge(now *identity.Snapshot, chain []*x509.Certificate, at time.Time) verdict {
	if _, _, err := now.VerifyPeer(chain); err == nil {
		return stays
	}
	if r, ok := any(now).(retirer); ok && len(chain) > 0 && at.Before(chain[0].NotAfter) && r.Retired(chain) {
		return drains
	}
	return falls
}

// trustChanged lets requests that begin now use the new snapshot, and ends the
// connections that it would not accept. Those under our old certificate are
// replaced one by one.
func (p *Pool) trustChanged(now *identity.Snapshot) {
	p.mu.Lock()
	p.serial = now.LinkSerial()
	p.mu.Unlock()
	p.recheck(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pr := range p.peers {
		for _, pt := range pr.paths {
			p.encourage(pt)
		}
	}
}

// recheck ends the connections that the snapshot would not accept now. Many have
// the same chain, which is verified once.
func (p *Pool) recheck(now *identity.Snapshot) {
	if now == nil {
		return
	}
	at := p.cfg.Clock()
	verdicts := map[[32]byte]verdict{}
	cut := 0
	for _, c := range p.open.all() {
		v, known := verdicts[c.key]
		if !known {
			v = judge(now, c.chain(), at)
			verdicts[c.key] = v
		}
		switch v {
		case falls:
			c.Cut()
			cut++
		case drains:
			p.mu.Lock()
			p.leave(c)
			p.mu.Unlock()
		}
	}
	if cut > 0 {
		p.metrics.cut.Add(float64(cut))
		p.cfg.Log.Info("connections cut, trust has changed", "connections", cut)
	}
}
