// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// How long to wait after a failed try to open a heartbeat connection: short,
// because this is how a path is seen to be back; longer after a peer refused us
// or we the peer, which takes a person to mend.
const (
	firstRetry   = 100 * time.Millisecond
	lastRetry    = time.Second
	refusedRetry = 5 * time.Second
)

// stagger is the time between the first tries of a path's connections.
const stagger = 50 * time.Millisecond

// tryWithin bounds one try, TCP and TLS handshake and upgrade.
const tryWithin = 15 * time.Second

// keep keeps one heartbeat connection on a path that we dial, until the context
// ends. When silence takes the path down the connection is left as it is, for the
// other direction may need it, and a new one is tried beside it.
func (p *Prober) keep(ctx context.Context, known *peer, pt *path, slot int) {
	wait := firstRetry
	pause(ctx, time.Duration(slot)*stagger)
	for ctx.Err() == nil {
		if !p.myTurn(pt, slot) {
			pause(ctx, lastRetry)
			continue
		}
		renew := p.renewed(pt)
		ended, err := p.dial(ctx, known, pt, slot)
		if err != nil {
			pause(ctx, wait+rand.N(wait/4+1))
			wait = min(2*wait, p.patience(pt))
			continue
		}
		wait = firstRetry
		select {
		case <-ended:
			pause(ctx, rand.N(firstRetry)) // all three may have ended at once
		case <-renew:
		case <-ctx.Done():
		}
	}
}

// myTurn tells whether a connection should be tried: while a peer refuses us, or
// we it, one try at a time is enough.
func (p *Prober) myTurn(pt *path, slot int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := pt.fault.cause
	return slot == 0 || f == report.CauseNone || f == report.CauseUnreachable
}

// patience is the longest time between two tries.
func (p *Prober) patience(pt *path) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pt.fault.cause == report.CauseUnreachable {
		return lastRetry
	}
	return refusedRetry
}

// renewed is closed when the path goes down from now on.
func (p *Prober) renewed(pt *path) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pt.renew
}

// dial opens one connection and lets it run; ended is closed with it.
func (p *Prober) dial(ctx context.Context, known *peer, pt *path, slot int) (ended <-chan struct{}, err error) {
	within, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	conn, facts, err := p.cfg.Links.Heartbeat(within, pt.id)
	if err != nil {
		if ctx.Err() == nil {
			p.failed(pt, faultOf(pt.id.Address, err))
		}
		return nil, err
	}
	l, ok := p.open(conn, known, pt, slot)
	if !ok {
		conn.Close()
		return nil, context.Canceled
	}
	p.proven(known, facts)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.run(ctx, l); errors.Is(err, errBeat) || errors.Is(err, errFlood) {
			p.failed(pt, fault{report.CauseProtocol, fmt.Sprintf("%s: the peer's relay breaks the protocol of heartbeats (%v): one of the two sides must be upgraded", pt.id.Address, err)})
			p.cfg.Log.Warn("heartbeat connection closed", "peer", p.nameOf(known), "address", pt.id.Address, "error", err)
		}
	}()
	return done, nil
}

// failed notes why there is no connection.
func (p *Prober) failed(pt *path, f fault) {
	p.mu.Lock()
	pt.fault = f
	p.mu.Unlock()
	p.look()
}

// faultOf reads the cause from an error of the link.
func faultOf(address string, err error) fault {
	if e, ok := errors.AsType[*link.Error](err); ok {
		return fault{e.Cause, e.Message}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault{report.CauseUnreachable, address + ": no answer in time: check address, route and firewall; if they are right, the peer's relay is down"}
	}
	return fault{report.CauseProtocol, fmt.Sprintf("%s: %v", address, err)}
}

// pause waits for a time or the end of the context.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
