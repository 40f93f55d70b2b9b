// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"crypto/x509"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/receipt"
)

// peer is the exchange of offers with one peer.
type peer struct {
	engine      *Engine
	trustDomain string
	wake        chan struct{} // exchange now
	nudged      chan struct{} // exchange if there is a reason
	end         func()        // ends drive

	accepting sync.Mutex // held while an offer of the peer is judged and stored

	mu       sync.Mutex // guards what follows; never held over storage or network
	declared declared
	drafted  draftKey
	doc      Document // for drafted
	serial   int64    // of our last offer
	told     string   // the revision of our last offer that the peer took
	last     *received
	asked    string              // the last revision that we were told of and did not have
	waiting  []*x509.Certificate // a bundle that waits for a person
	trustErr error               // why a bundle is not in force
	sendErr  error               // of our last exchange
	takeErr  error               // of the peer's last offer
	tokens   float64             // how many offers the peer may send now
	filled   time.Time           // when tokens was counted
	shown    shown
}

// The largest number of offers that a peer may send at once, and in a second.
const (
	maxBurst  = 20
	maxSecond = 10
)

// admit takes a token for an offer of the peer; false when it sends too many.
func (p *peer) admit(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = min(maxBurst, p.tokens+max(0, now.Sub(p.filled).Seconds())*maxSecond)
	p.filled = now
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}

// received is the last offer of a peer that counts.
type received struct {
	Document
	unknown   []string
	agreement Agreement
	at        time.Time
}

// draftKey is all that our offer depends on.
type draftKey struct {
	snapshot *identity.Snapshot
	declared *declared
	seenRoot string
	sealKey  string
	view     view
}

func newPeer(e *Engine, trustDomain string) *peer {
	return &peer{engine: e, trustDomain: trustDomain, wake: make(chan struct{}, 1), nudged: make(chan struct{}, 1), end: func() {}, tokens: maxBurst}
}

func (p *peer) wakeUp() { poke(p.wake) }
func (p *peer) nudge()  { poke(p.nudged) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// outdated tells whether the peer has not got our offer as it is now.
func (p *peer) outdated() bool {
	revision := p.draft().Revision
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sendErr != nil || p.told != revision
}

// declare takes what the configuration says now.
func (p *peer) declare(d declared) {
	p.mu.Lock()
	p.declared, p.drafted = d, draftKey{}
	p.mu.Unlock()
	p.nudge()
}

// draft returns our offer as it would be now, without serials and time.
func (p *peer) draft() Document {
	outbound, inbound, pathsUp := p.engine.cfg.View(p.trustDomain)
	seen, _ := p.engine.cfg.Identity.Seen(p.trustDomain)
	sealKey := p.engine.sealKey()
	p.mu.Lock()
	defer p.mu.Unlock()
	key := draftKey{snapshot: p.engine.cfg.Identity.Current(), declared: &p.declared, seenRoot: seen.Root, sealKey: string(sealKey), view: view{outbound, inbound, pathsUp}}
	if key.snapshot == nil {
		return Document{}
	}
	if key != p.drafted {
		p.doc = compose(key.snapshot, p.declared, key.seenRoot, sealKey, key.view, p.engine.cfg.Versions, p.engine.cfg.Release)
		p.drafted = key
	}
	return p.doc
}

// sign makes our offer. Its serial is larger than that of any before, and than any
// that the peer has seen of us, whatever our clock says.
func (p *peer) sign() (jws []byte, revision string, err error) {
	d := p.draft()
	now := p.engine.cfg.Clock().UTC()
	p.mu.Lock()
	p.serial = max(p.serial+1, now.UnixMicro())
	if p.last != nil {
		if seen := p.last.SeenSerial; seen < now.Add(farthest).UnixMicro() { // else we never had it
			p.serial = max(p.serial, seen+1)
		}
		d.SeenSerial = p.last.Serial
	}
	d.SeenSerial = max(d.SeenSerial, p.engine.cfg.Keeper.Serial(p.trustDomain))
	d.Serial, d.IssuedAt = p.serial, now.Truncate(time.Millisecond)
	p.mu.Unlock()
	payload, err := encode(d)
	if err != nil {
		return nil, "", err
	}
	jws, err = receipt.Sign(p.engine.cfg.Identity.Current(), Type, payload)
	return jws, d.Revision, err
}

// misses tells, once for each, whether the peer's offer with a revision is another
// one than we have.
func (p *peer) misses(revision string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if revision == "" || revision == p.asked || p.last != nil && p.last.Revision == revision {
		return false
	}
	p.asked = revision
	return true
}

// behind tells whether the peer has seen a larger serial of ours than we gave: our
// clock was set back.
func (p *peer) behind() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last != nil && p.last.SeenSerial > p.serial && p.last.SeenSerial < p.engine.cfg.Clock().Add(farthest).UnixMicro()
}

func (p *peer) agreed() Agreement {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		return Agreement{OK: true, Ours: p.engine.cfg.Versions}
	}
	return p.last.agreement
}
