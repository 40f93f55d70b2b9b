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

// reverseWait is how long a request waits for a connection of a peer that only
// dials us.
const reverseWait = 5 * time.Second

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
