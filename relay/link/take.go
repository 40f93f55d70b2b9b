// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

const (
	// reverseWait is how long a request waits for a connection of a peer that only
	// dials us, fallbackWait for one when our own dials have failed.
	reverseWait  = 5 * time.Second
	fallbackWait = 2 * time.Second
	// headStart is what a dial has before the next path is tried as well (RFC 8305
	// section 8 names 250 ms), unless its round trip says more.
	headStart = 250 * time.Millisecond
)

// want is what connection a request needs.
type want struct {
	trustDomain string
	class       Class
	// only this path, if not nil.
	only *Path
}

func (w want) fits(pt *path) bool { return w.only == nil || *w.only == pt.Path }

// waiter waits for a connection.
type waiter struct {
	want
	got    chan *conn
	failed chan error
	gone   chan struct{} // closed when it waits no more
}

func (w *waiter) fail(err error) {
	select {
	case w.failed <- err:
	default:
	}
}

// nobody is the error for a trust domain that no peer has.
func nobody(trustDomain string) *Error {
	return &Error{Cause: report.CauseNoEndpoints, Message: fmt.Sprintf("no peer of ours has the trust domain %q", trustDomain)}
}

// revoked is the error for a peer to which we say nothing any more.
func revoked(peer config.Peer) *Error {
	return &Error{Cause: report.CauseRefused, Message: fmt.Sprintf("peer %q is Revoked by our side", peer.Name)}
}

// callable returns an *Error if nothing may be sent to the peer. The caller holds p.mu.
func (p *Pool) callable(trustDomain string) (*peer, error) {
	pr := p.peers[trustDomain]
	switch {
	case pr == nil:
		return nil, nobody(trustDomain)
	case pr.cfg.State == config.Revoked:
		return nil, revoked(pr.cfg)
	case p.closing:
		return nil, &Error{Cause: report.CauseUnreachable, Message: "our relay is stopping"}
	}
	return pr, nil
}

// take returns a connection that is parked, is dialled now, or comes back or comes
// in while we wait. Nobody else of our side has it; the peer may take it yet. The
// error is an *Error, or that of a context that was cancelled.
func (p *Pool) take(ctx context.Context, wanted want) (*conn, error) {
	p.mu.Lock()
	pr, err := p.callable(wanted.trustDomain)
	if err != nil {
		p.mu.Unlock()
		return nil, err
	}
	if c := p.pick(pr, wanted); c != nil {
		p.mu.Unlock()
		return c, nil
	}
	w := &waiter{want: wanted, got: make(chan *conn, 1), failed: make(chan error, 1), gone: make(chan struct{})}
	pr.waiting[w.class] = append(pr.waiting[w.class], w)
	patience := classes[w.class].answer
	if len(pr.cfg.Endpoints) == 0 || w.only != nil && w.only.Accepted {
		patience = reverseWait
	}
	p.work.Go(func() { p.seek(w, pr) })
	p.mu.Unlock()
	defer close(w.gone)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case c := <-w.got:
		return c, nil
	case err = <-w.failed:
	case <-timer.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	return p.withdraw(pr, w, err)
}

// withdraw ends the waiting. A connection that came meanwhile is used.
func (p *Pool) withdraw(pr *peer, w *waiter, err error) (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr.waiting[w.class] = slices.DeleteFunc(pr.waiting[w.class], func(x *waiter) bool { return x == w })
	select {
	case c := <-w.got:
		return c, nil
	default:
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, p.waited(pr, w)
	}
	return nil, err
}

// waited says for what a request has waited in vain. The caller holds p.mu.
func (p *Pool) waited(pr *peer, w *waiter) *Error {
	switch {
	case pr.held[w.class] >= held(pr.cfg, w.class):
		return &Error{Cause: report.CauseUnreachable, Message: fmt.Sprintf(
			"all %d connections of the class %s with peer %q are in use: wait, or raise its limits", pr.held[w.class], w.class, pr.cfg.Name)}
	case len(pr.cfg.Endpoints) == 0:
		return &Error{Cause: report.CauseNoEndpoints, Message: fmt.Sprintf(
			"we have no address of peer %q, it dials us, and it has no free connection to us now: its relay is down, or cannot reach us", pr.cfg.Name)}
	}
	var failures []*Error
	for _, pt := range pr.order {
		if pt.wanted && pt.last != nil && w.fits(pt) {
			failures = append(failures, pt.last)
		}
	}
	if len(failures) > 0 {
		return together(failures)
	}
	return &Error{Cause: report.CauseUnreachable, Message: fmt.Sprintf("no connection to peer %q in time: check address, route and firewall", pr.cfg.Name)}
}

// pick takes a parked connection of the best path, or of one as good. The caller
// holds p.mu.
func (p *Pool) pick(pr *peer, w want) *conn {
	c, best := p.pickParked(pr, w)
	if c == nil && best != nil && w.class == Tunnel {
		l := best.lanes[Tunnel]
		l.demand, l.lacked = min(maxSpare, max(2*l.demand, spare(pr.cfg, Tunnel))), p.cfg.Clock()
	}
	return c
}

// pickParked is pick without a note that one was missing. It also returns the best path. The caller holds
// p.mu.
func (p *Pool) pickParked(pr *peer, w want) (c *conn, best *path) {
	for _, pt := range pr.ranked() {
		if !w.fits(pt) {
			continue
		}
		if best == nil {
			best = pt
		}
		if !pt.asGood(best) {
			continue
		}
		if c := p.pickOn(pt, w.class); c != nil {
			return c, best
		}
	}
	return nil, best
}

// pickOn takes the connection of a path that parked last. The caller holds p.mu.
func (p *Pool) pickOn(pt *path, class Class) *conn {
	l := pt.lanes[class]
	if len(l.parked) == 0 {
		return nil
	}
	c := l.parked[len(l.parked)-1]
	l.remove(c)
	c.uses++
	p.refill(pt)
	return c
}

// handOver gives a connection to the one who waits longest for such; false if
// nobody does. The caller holds p.mu.
func (p *Pool) handOver(c *conn) bool {
	pr := c.path.peer
	waiters := pr.waiting[c.class]
	i := slices.IndexFunc(waiters, func(w *waiter) bool { return w.fits(c.path) })
	if i < 0 {
		return false
	}
	w := waiters[i]
	pr.waiting[c.class] = slices.Delete(waiters, i, i+1)
	c.uses++
	w.got <- c // it has room for the one that a waiter gets
	return true
}

// maxSeeks is how often a waiter's connections may go to others, or end at once,
// before it has failed; seekPause is the first pause between two, which doubles.
const (
	maxSeeks  = 8
	seekPause = 5 * time.Millisecond
	// tryEvery is the shortest time between two dials of a path that fails for those
	// who wait, so that many of them are no storm.
	tryEvery = 50 * time.Millisecond
)

// seek looks for a connection for a waiter, path by path, until it waits no more.
func (p *Pool) seek(w *waiter, pr *peer) {
	var failures []*Error
	pause := time.NewTimer(0)
	defer pause.Stop()
	for try := range maxSeeks {
		var again bool
		failures, again = p.seekOnce(w, pr)
		if !again {
			break
		}
		// Another who has waited longer may have got what we opened.
		if !p.waits(pr, w) {
			return
		}
		pause.Reset(seekPause << try)
		select {
		case <-pause.C:
		case <-w.gone:
			return
		case <-p.life.Done():
			return
		}
		if try == maxSeeks-1 {
			p.mu.Lock()
			failures = []*Error{p.waited(pr, w)}
			p.mu.Unlock()
		}
	}
	p.exhausted(w, pr, failures)
}

func (p *Pool) waits(pr *peer, w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(pr.waiting[w.class], w)
}

// seekOnce tries each path once, the next when one fails or takes its time. It
// tells whether to look again, if still nobody has come: a connection was found for
// whoever waits longest, or it is too early to dial a path that fails.
func (p *Pool) seekOnce(w *waiter, pr *peer) (failures []*Error, again bool) {
	p.mu.Lock()
	ranked := slices.DeleteFunc(pr.ranked(), func(pt *path) bool { return !w.fits(pt) })
	p.mu.Unlock()
	results := make(chan *Error, len(ranked))
	dialling := 0
	next := func(wait <-chan time.Time) (done bool) {
		select {
		case e := <-results:
			dialling--
			if e == nil {
				return true
			}
			failures = append(failures, e)
		case <-wait:
		case <-w.gone:
			return true
		case <-p.life.Done():
			return true
		}
		return false
	}
	for _, pt := range ranked {
		found, start := p.tryPath(pt, w.class)
		if found {
			return nil, true
		}
		if start < 0 {
			again = true
		}
		if start <= 0 {
			continue
		}
		dialling++
		p.work.Go(func() { results <- p.fill(pt, w.class) })
		if next(time.After(start)) {
			return nil, true
		}
	}
	for dialling > 0 {
		if next(nil) {
			return nil, true
		}
	}
	return failures, again
}

// tryPath gives a parked connection of the path to whoever waits longest, or else
// reserves a place for one to dial, and says how long that may take before
// the next path is tried; zero if none may be dialled, less if it is too early.
func (p *Pool) tryPath(pt *path, class Class) (found bool, start time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := pt.lanes[class]
	if n := len(l.parked); n > 0 {
		c := l.parked[n-1]
		l.remove(c)
		if p.handOver(c) {
			p.refill(pt)
		} else {
			l.add(c)
		}
		return true, 0
	}
	now := p.cfg.Clock()
	if pt.wanted && pt.failures > 0 && now.Sub(l.tried) < tryEvery {
		return false, -1
	}
	if !p.reserve(pt, class) {
		return false, 0
	}
	l.tried = now
	return false, max(headStart, 4*pt.roundTrip)
}

// reserve makes room for a connection to be dialled; false if there is none. The
// caller holds p.mu.
func (p *Pool) reserve(pt *path, class Class) bool {
	pr := pt.peer
	if !pt.wanted || p.closing || pr.held[class] >= held(pr.cfg, class) {
		return false
	}
	pr.held[class]++
	pt.lanes[class].opening++
	return true
}

// exhausted ends the waiting when all dials have failed, unless a connection of
// the peer may be free soon.
func (p *Pool) exhausted(w *waiter, pr *peer, failures []*Error) {
	if len(failures) == 0 {
		return // nothing could be dialled: it waits for what comes back or in
	}
	p.mu.Lock()
	hope := slices.ContainsFunc(pr.order, func(pt *path) bool {
		return pt.Accepted && len(pt.conns) > 0 && pt.state != report.Down && w.fits(pt)
	})
	p.mu.Unlock()
	if hope {
		t := time.NewTimer(fallbackWait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-w.gone:
		case <-p.life.Done():
		}
	}
	w.fail(together(failures))
}
