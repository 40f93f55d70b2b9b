// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/report"
)

const (
	// firstBackoff is the pause after the first dial that failed, at most; it doubles
	// up to maxBackoff.
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 15 * time.Second
	// tidyEvery is how often the pool looks at its connections.
	tidyEvery = time.Second
	// trimAfter is how long a parked connection beyond those that we keep ready
	// stays, and how long high demand is remembered.
	trimAfter = 30 * time.Second
)

// refill dials what is missing of the connections that we keep ready on a path.
// The caller holds p.mu.
func (p *Pool) refill(pt *path) {
	if !pt.wanted || p.closing || pt.state == report.Down {
		return
	}
	if wait := pt.retryAt.Sub(p.cfg.Clock()); wait > 0 {
		if pt.retry == nil {
			pt.retry = time.AfterFunc(wait, func() { p.refillLater(pt) })
		}
		return
	}
	for _, class := range framed {
		l := pt.lanes[class]
		for p.ready(l)+l.opening < pt.low(class) {
			// While a path fails, one dial at a time finds out whether it works again.
			if pt.failures > 0 && pt.opening() > 0 || !p.reserve(pt, class) {
				break
			}
			p.work.Go(func() { _ = p.fill(pt, class) }) // who wants to know asks the path
		}
	}
}

func (p *Pool) refillLater(pt *path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pt.retry = nil
	p.refill(pt)
}

// ready counts the parked connections that need not be replaced. The caller holds p.mu.
func (p *Pool) ready(l *lane) int {
	n := 0
	for _, c := range l.parked {
		if p.current(c) {
			n++
		}
	}
	return n
}

// current tells whether a connection was opened under our present certificate, and
// the peer's, as far as it has told us. The caller holds p.mu.
func (p *Pool) current(c *conn) bool {
	// What the peer asks for just after we have dialled waits, so that it is no storm.
	return c.serial == p.serial && (!c.outdated || p.cfg.Clock().Sub(c.opened) < settleTime)
}

// outdated notes that the peer asks for another connection in the place of one that we have
// dialled, because its certificate was renewed.
func (p *Pool) outdated(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.outdated = true
	if c.path != nil && !c.ended {
		p.refill(c.path)
	}
}

// opening counts the connections that are being dialled.
func (pt *path) opening() int {
	n := 0
	for _, l := range pt.lanes {
		n += l.opening
	}
	return n
}

// failed notes that a dial failed, or that its connection was of no use.
func (p *Pool) failed(pt *path, e *Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failedLocked(pt, e)
}

func (p *Pool) failedLocked(pt *path, e *Error) {
	pt.last = e
	now := p.cfg.Clock()
	if now.Before(pt.retryAt) {
		return // of the same row of dials
	}
	pause := min(maxBackoff, firstBackoff<<min(pt.failures, 10))
	pt.failures++
	pt.retryAt = now.Add(pause/2 + rand.N(pause/2))
	p.refill(pt)
}

// encourage forgets that dials have failed. The caller holds p.mu.
func (p *Pool) encourage(pt *path) {
	pt.failures, pt.retryAt = 0, time.Time{}
	if pt.retry != nil {
		pt.retry.Stop()
		pt.retry = nil
	}
	p.refill(pt)
}

// works notes that a path has proven itself. The caller holds p.mu.
func (p *Pool) works(pt *path) {
	pt.last = nil
	if pt.failures > 0 {
		p.encourage(pt)
	}
}

// parked puts a connection at the disposal of the next request.
func (p *Pool) parked(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.path == nil || c.ended || c.private || c.leaving || c.framed.Busy() {
		return
	}
	if c.uses > 0 {
		p.works(c.path)
	}
	// Who waits takes what there is, over a path that is Down as the last resort.
	if !p.closing && p.handOver(c) {
		return
	}
	// What the peer has just dialled is kept even so: heartbeats on it bring the path back.
	if c.path.state == report.Down && !c.path.Accepted || p.closing {
		p.leave(c)
		return
	}
	c.since = p.cfg.Clock()
	l := c.path.lanes[c.class]
	l.add(c)
	p.replace(c.path, c.class)
}

// replace lets parked connections go that are too many, or were opened under a
// certificate, ours or the peer's, that has been renewed, once others are ready. The caller holds p.mu.
func (p *Pool) replace(pt *path, class Class) {
	if pt.Accepted {
		return // the side that dialled decides how many there are
	}
	l := pt.lanes[class]
	ready := p.ready(l)
	for _, c := range slices.Clone(l.parked) {
		if !p.current(c) && ready >= pt.keeps(class) || len(l.parked) > maxSpare {
			p.leave(c)
		}
	}
}

// taken notes that the peer opened a stream on a connection.
func (p *Pool) taken(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.path == nil || c.ended {
		return
	}
	c.uses++
	c.path.lanes[c.class].remove(c)
	p.works(c.path)
	p.refill(c.path)
}

// closed forgets a connection that has ended.
func (p *Pool) closed(c *conn, err error) {
	p.open.remove(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	if c.path == nil {
		return
	}
	pt, now := c.path, p.cfg.Clock()
	pt.lanes[c.class].remove(c)
	delete(pt.conns, c)
	pt.heard = max(pt.heard, c.heard.Load())
	pt.peer.held[c.class]--
	switch {
	case len(pt.conns) > 0:
	case pt.Accepted:
		pt.emptied = now
	case !pt.wanted:
		pt.peer.drop(pt)
	}
	if !pt.Accepted && !c.leaving && c.freshLocked(now) {
		p.failedLocked(pt, classify(pt.Address, err))
		return
	}
	p.refill(pt)
}

// tidy looks at all connections: what is too much ends, what is missing is dialled.
func (p *Pool) tidy() {
	now := p.cfg.Clock()
	var free []*conn
	p.mu.Lock()
	for _, pr := range p.peers {
		for _, pt := range pr.paths {
			for c := range pt.conns {
				if !c.listed && !c.private && !c.leaving {
					free = append(free, c)
				}
				if c.uses == 0 && now.Sub(c.opened) >= settleTime && !pt.Accepted {
					p.works(pt)
				}
			}
			for class, l := range pt.lanes {
				p.trim(pt, class, l, now)
			}
			p.refreshBeats(pt, now)
			p.refill(pt)
		}
	}
	p.mu.Unlock()
	p.cutUnheard(now)
	for _, c := range free {
		// A callback that came in the wrong order must not lose a connection.
		if !c.framed.Busy() {
			p.parked(c)
		}
	}
}

// cutUnheard cuts the tunnels whose sent bytes nobody acknowledges any more.
func (p *Pool) cutUnheard(now time.Time) {
	for _, c := range p.open.all() {
		if c.unheard.over(c.framed, now) {
			c.Cut()
		}
	}
}

// trim lets go what was kept for a demand that is over. The caller holds p.mu.
func (p *Pool) trim(pt *path, class Class, l *lane, now time.Time) {
	if l.demand > 0 && now.Sub(l.lacked) > trimAfter {
		l.demand, l.lacked = l.demand/2, now
	}
	for _, c := range slices.Clone(l.parked) {
		if pt.Accepted && c.serial != p.serial && !c.asked {
			// The peer dials anew and sees our new certificate: before it lets this one go, or,
			// if it does not understand that, after.
			if c.asked = c.framed.Renew(); !c.asked {
				p.leave(c)
				break
			}
		}
		if !pt.Accepted && len(l.parked) > pt.keeps(class) && now.Sub(c.since) > trimAfter {
			p.leave(c)
		}
	}
}
