// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import "slices"

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
	if w.only != nil {
		pt := pr.paths[*w.only]
		if pt == nil || !pt.usable() {
			return nil, nil
		}
		return p.pickOn(pt, w.class), pt // there is nothing to rank
	}
	for _, pt := range pr.ranked() {
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
