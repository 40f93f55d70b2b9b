// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/route"
)

// loserTime is how long the slower attempts of a hedged request may take to end by
// themselves, so that their connections can be used again; then they are cut.
const loserTime = 5 * time.Second

// maxLoser bounds what is read of the response to a slower attempt.
const maxLoser = 64 << 10

type hedgeKey struct{}

// hedging says how a request goes over several paths.
type hedging int

const (
	hedged   hedging = iota + 1
	allPaths         // at once
)

// WithHedge lets an idempotent request begin again on the next path when the first
// takes longer than its round trip and earlier answers to requests of that size say. The first
// good response wins.
func WithHedge(ctx context.Context) context.Context {
	return context.WithValue(ctx, hedgeKey{}, hedged)
}

// WithAllPaths lets an idempotent request go over all paths at once. The first good
// response wins.
func WithAllPaths(ctx context.Context) context.Context {
	return context.WithValue(ctx, hedgeKey{}, allPaths)
}

// OverOnePath lets a request go over one path at a time, whatever the context said before.
func OverOnePath(ctx context.Context) context.Context {
	return context.WithValue(ctx, hedgeKey{}, hedging(0))
}

// OverAllPaths tells whether requests with the context go over all paths at once.
func OverAllPaths(ctx context.Context) bool { return ctx.Value(hedgeKey{}) == allPaths }

// attempt is one try of a request that goes over several paths.
type attempt struct {
	at    Path
	after time.Duration
}

// outcome of an attempt.
type outcome struct {
	resp  *http.Response
	err   error
	index int
}

// good: no other path would say better.
func (o outcome) good() bool {
	return o.err == nil && o.resp.StatusCode < http.StatusInternalServerError
}

// plan says over which paths a request goes, and when. At most one means that it
// is not hedged.
func (rt *roundTripper) plan(req *http.Request) (attempts []attempt, oneAtATime bool) {
	how, _ := req.Context().Value(hedgeKey{}).(hedging)
	patience := classes[rt.want.class].patience
	if how == 0 && patience == 0 {
		return nil, false
	}
	p := rt.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	pr := p.peers[rt.want.trustDomain]
	if pr == nil {
		return nil, false
	}
	ranked := pr.ranked()
	views := pr.views()
	byID := make(map[string]*path, len(ranked))
	for _, pt := range ranked {
		byID[pt.id()] = pt
	}
	for i := range views {
		views[i].Answer = byID[views[i].ID].usual[sizeOf(req)].late()
	}
	copies := 1
	if how == allPaths {
		copies = len(views)
	}
	for i, a := range route.Plan(views, copies) {
		if i > 0 && stateOf(views, a.ID) == report.Down {
			continue // as a last resort only, which send has for the first
		}
		after := a.After
		if how == 0 {
			after = time.Duration(i) * patience
		}
		attempts = append(attempts, attempt{at: byID[a.ID].Path, after: after})
	}
	return attempts, how == 0
}

func stateOf(views []route.Path, id string) route.State {
	for _, v := range views {
		if v.ID == id {
			return v.State
		}
	}
	return report.Unknown
}

// hedge sends a request over several paths; false if there is but one, or the
// context does not ask for it.
func (rt *roundTripper) hedge(req *http.Request) (*http.Response, error, bool) { //nolint:revive // the last one tells whether the others count
	attempts, oneAtATime := rt.plan(req)
	if len(attempts) < 2 {
		return nil, nil, false
	}
	r := &race{rt: rt, req: req, attempts: attempts, oneAtATime: oneAtATime, outcomes: make(chan outcome, len(attempts))}
	resp, err := r.run(req.Context())
	return resp, err, true
}

// race is a request under way over several paths.
type race struct {
	rt         *roundTripper
	req        *http.Request
	attempts   []attempt
	oneAtATime bool
	outcomes   chan outcome

	begun   int
	running int
	cancels []context.CancelFunc
	unbind  []func() bool // takes an attempt off the request's context
	best    outcome       // of those that were not good
	have    bool
	failed  []*Error
}

// run returns the first good response, or else what says most.
func (r *race) run(ctx context.Context) (*http.Response, error) {
	begun := time.Now()
	if r.begin(ctx); r.running == 0 {
		return r.lost(ctx) // the context had ended
	}
	timer := time.NewTimer(r.attempts[1].after) // a race has two attempts at least
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			r.begin(ctx)
		case o := <-r.outcomes:
			r.running--
			if o.good() {
				return r.won(o)
			}
			r.note(ctx, o)
			if r.begun < len(r.attempts) && ctx.Err() == nil {
				r.begin(ctx) // a failure is a reason not to wait
			}
		}
		if r.running == 0 && (r.begun == len(r.attempts) || ctx.Err() != nil) {
			return r.lost(ctx)
		}
		if r.begun < len(r.attempts) {
			timer.Reset(max(0, r.attempts[r.begun].after-time.Since(begun)))
		}
	}
}

// begin starts the next attempt.
func (r *race) begin(ctx context.Context) {
	if r.begun == len(r.attempts) || ctx.Err() != nil {
		return
	}
	if r.oneAtATime {
		for _, cancel := range r.cancels {
			cancel()
		}
	}
	i := r.begun
	r.begun++
	r.running++
	if i > 0 {
		r.rt.pool.metrics.hedges.WithLabelValues("begun").Inc()
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancels = append(r.cancels, cancel)
	r.unbind = append(r.unbind, context.AfterFunc(ctx, cancel))
	wanted := r.rt.want
	wanted.only = &r.attempts[i].at
	r.rt.pool.spawn(func() {
		begun := time.Now()
		resp, err := r.rt.send(own, r.req, wanted) //nolint:bodyclose // whoever gets the outcome closes it
		if err == nil {
			r.rt.pool.answered(*wanted.only, sizeOf(r.req), time.Since(begun))
		}
		r.outcomes <- outcome{resp: resp, err: err, index: i}
	})
}

// note keeps what an attempt said that was not good.
func (r *race) note(ctx context.Context, o outcome) {
	address := r.attempts[o.index].at.Address
	switch {
	case o.err == nil && r.have:
		r.discardLater(o)
		return
	case o.err == nil:
		r.best, r.have = o, true
		return
	case !errors.Is(o.err, context.Canceled):
		r.failed = append(r.failed, classify(address, o.err))
	case !errors.Is(ctx.Err(), context.Canceled):
		// It was we who gave it up, or the time of the request is over.
		r.failed = append(r.failed, classify(address, context.DeadlineExceeded))
	}
	r.cancels[o.index]()
}

// won returns the winner's response; the others end by themselves, or are cut.
func (r *race) won(o outcome) (*http.Response, error) {
	if o.index > 0 {
		r.rt.pool.metrics.hedges.WithLabelValues("won").Inc()
	}
	if r.have {
		r.discardLater(r.best)
	}
	r.abandon(o.index)
	o.resp.Body = &closing{ReadCloser: o.resp.Body, then: func() {
		r.unbind[o.index]() // else the end of the context starts a goroutine that finds nothing to cancel
		r.cancels[o.index]()
	}}
	return o.resp, nil
}

// lost returns what says most when no attempt was good.
func (r *race) lost(ctx context.Context) (*http.Response, error) {
	if r.have {
		r.best.resp.Body = &closing{ReadCloser: r.best.resp.Body, then: r.cancels[r.best.index]}
		return r.best.resp, nil
	}
	for _, cancel := range r.cancels {
		cancel()
	}
	if len(r.failed) == 0 {
		return nil, ctx.Err()
	}
	return nil, together(r.failed)
}

// abandon lets the attempts that are still running end.
func (r *race) abandon(winner int) {
	if r.running == 0 {
		return
	}
	for i, unbind := range r.unbind {
		if i != winner {
			unbind()
		}
	}
	r.rt.pool.spawn(func() {
		cut := context.AfterFunc(r.rt.pool.life, func() { r.cancelBut(winner) })
		timer := time.AfterFunc(loserTime, func() { r.cancelBut(winner) })
		defer cut()
		defer timer.Stop()
		for range r.running {
			if o := <-r.outcomes; o.err == nil {
				discard(o, r.cancels[o.index])
			} else {
				r.cancels[o.index]()
			}
		}
	})
}

func (r *race) cancelBut(winner int) {
	for i, cancel := range r.cancels {
		if i != winner {
			cancel()
		}
	}
}

// discardLater is discard for who does not wait: what is not wanted may be slow.
func (r *race) discardLater(o outcome) {
	cancel := r.cancels[o.index]
	time.AfterFunc(loserTime, cancel)
	r.rt.pool.spawn(func() { discard(o, cancel) })
}

// discard reads a short response that nobody wants, so that its connection can be
// used again.
func discard(o outcome, cancel context.CancelFunc) {
	_, _ = io.CopyN(io.Discard, o.resp.Body, maxLoser) // an error ends the connection, which is all there is to do
	o.resp.Body.Close()
	cancel()
}

// closing does something when a body is closed.
type closing struct {
	io.ReadCloser
	then func()
}

func (c *closing) Close() error {
	err := c.ReadCloser.Close()
	c.then()
	return err
}
