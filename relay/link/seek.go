// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"slices"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// maxSeeks is how often a waiter's connections may go to others, or end at once,
// before it has failed; seekPause is the first pause between two, which doubles.
const (
	maxSeeks  = 8
	seekPause = 5 * time.Millisecond
	// tryEvery is the shortest time between two dials of a path that fails for those
	// who wait, so that many of them are no storm.
	tryEvery = 50 * time.Millisecond
	// fallbackWait is how long a waiter whose dials have all failed waits for a connection
	// of the peer.
	fallbackWait = 2 * time.Second
	// headStart is what a dial has before the next path is tried as well (RFC 8305
	// section 8 names 250 ms), unless its round trip says more.
	headStart = 250 * time.Millisecond
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
