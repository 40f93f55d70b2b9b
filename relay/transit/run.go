// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// The pace at which the ways through others are tried.
const (
	// downEvery is while no direct path is up, failedEvery for one that failed, upEvery
	// otherwise: a way that nobody tries is a way that nobody has.
	downEvery   = 10 * time.Second
	failedEvery = 30 * time.Second
	upEvery     = 5 * time.Minute
	// lookEvery is how often we look whether one is due.
	lookEvery = 2 * time.Second
)

// Run tries the ways through others until ctx ends, so that they are proven before they
// are needed.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var trying sync.WaitGroup
	defer trying.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-e.poke:
		}
		now := e.cfg.Now()
		for _, l := range e.all() {
			down := e.cfg.Down(l.trustDomain)
			for _, r := range l.routes {
				if e.due(r, down, now) {
					trying.Go(func() { e.try(ctx, l, r) })
				}
			}
		}
	}
}

// due tells whether a way is to be tried now, and notes that it is.
func (e *Engine) due(r *route, down bool, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	every := upEvery
	switch {
	case down:
		every = downEvery
	case !r.proven:
		every = failedEvery
	}
	if since := now.Sub(r.tried); since >= 0 && since < every {
		return false
	}
	r.tried = now
	return true
}

// Wake tries the ways again that failed: the link to a peer is up, which may be at either
// end of one or in its middle.
func (e *Engine) Wake() {
	for _, l := range e.all() {
		for _, r := range l.routes {
			r.mu.Lock()
			if !r.proven {
				r.tried = time.Time{}
			}
			r.mu.Unlock()
		}
	}
	e.wake()
}

// try asks the receiver for a sign of life through another peer.
func (e *Engine) try(ctx context.Context, l *line, r *route) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.trustDomain+pathPing, http.NoBody)
	if err != nil {
		return // the configuration holds no such trust domain
	}
	resp, err := e.through(ctx, l.trustDomain, r, req, nil)
	if err != nil {
		return // it is noted
	}
	resp.Body.Close()
	if e.cfg.Down(l.trustDomain) {
		e.arrived(l, r.peer.TrustDomain)
	}
}

// arrived notes by which way a request got through.
func (e *Engine) arrived(l *line, via string) {
	if via != "" && !e.cfg.Down(l.trustDomain) {
		return // the direct path was slow, or both were tried at once
	}
	l.mu.Lock()
	news := l.via != via
	if news {
		l.via, l.since = via, e.cfg.Now()
	}
	l.mu.Unlock()
	if !news {
		return
	}
	e.cfg.Changed()
	if via != "" {
		e.cfg.Log.Info("messages go through another peer, sealed: no direct path is up", "peer", l.trustDomain, "via", via)
		e.cfg.OnUp(l.trustDomain)
	}
}

// Complete fills what a hotline's report says about transit, by the name of its peer.
func (e *Engine) Complete(h *report.Hotline) {
	e.mu.Lock()
	var l *line
	for td, p := range e.peers {
		if p.Name == h.Peer {
			l = e.lines[td]
		}
	}
	e.mu.Unlock()
	if l == nil {
		return
	}
	down := e.cfg.Down(l.trustDomain)
	l.mu.Lock()
	via := l.via
	l.mu.Unlock()
	for _, r := range l.routes {
		way := e.describe(l.trustDomain, r)
		if down && r.peer.TrustDomain == via && way.State == report.TransitReady {
			h.Via = r.peer.Name
		}
		h.Transit = append(h.Transit, way)
	}
	// Another one that is proven does as well.
	for _, way := range h.Transit {
		if down && h.Via == "" && way.State == report.TransitReady {
			h.Via = way.Peer
		}
	}
}

// describe judges one way. While no direct path is up, an answer that came by it counts more
// than the last offer of the peer, which may have changed its mind since.
func (e *Engine) describe(to string, r *route) report.Transit {
	out := report.Transit{Peer: r.peer.Name, State: report.TransitUnproven}
	down := e.cfg.Down(to)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proven && down {
		out.State = report.TransitReady
		return out
	}
	if carries, known := e.cfg.Carries(r.peer.TrustDomain); known && !carries {
		out.State = report.TransitNotCarried
		return out
	}
	if through, known := e.cfg.Through(to); known && !slices.Contains(through, r.peer.TrustDomain) {
		out.State = report.TransitNotAccepted
		return out
	}
	switch {
	case r.proven:
		out.State = report.TransitReady
	case r.err != "":
		out.State, out.Error = report.TransitFailed, r.err
	}
	return out
}
