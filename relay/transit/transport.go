// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// patience is how long a request that is not FLASH waits for an answer over the direct
// paths before it also goes through others.
const patience = 2 * time.Second

// Client returns the client whose requests go to a trust domain directly, and while that
// does not work, through the peers that its hotline names. Requests must be idempotent:
// they may arrive more than once, by several ways.
func (e *Engine) Client(trustDomain string) *http.Client {
	c := *e.cfg.Direct(trustDomain)
	c.Transport = &transport{engine: e, to: trustDomain, direct: c.Transport}
	return &c
}

type transport struct {
	engine *Engine
	to     string
	direct http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	l := t.engine.lineTo(t.to)
	if l == nil || len(l.routes) == 0 || !strings.HasPrefix(req.URL.Path, link.PathHotline) || strings.HasPrefix(req.URL.Path, pathTransit) {
		return t.direct.RoundTrip(req)
	}
	body, whole, err := readBody(req)
	if err != nil {
		return nil, err
	}
	if !whole { // too large for transit
		return t.direct.RoundTrip(req)
	}
	r := &race{
		engine: t.engine, line: l, direct: t.direct, req: req, body: body, outcomes: make(chan outcome, len(l.routes)+1),
		down: t.engine.cfg.Down(t.to), flash: link.OverAllPaths(req.Context()),
	}
	return r.run(req.Context())
}

// readBody reads a body that fits; of a larger one the request keeps all.
func readBody(req *http.Request) (body []byte, whole bool, err error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, true, nil
	}
	body, err = io.ReadAll(io.LimitReader(req.Body, MaxBody+1))
	if err != nil {
		_ = req.Body.Close() // as a RoundTripper must
		return nil, false, fmt.Errorf("reading the request: %w", err)
	}
	if len(body) > MaxBody {
		req.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), req.Body), req.Body}
		return nil, false, nil
	}
	return body, true, req.Body.Close()
}

// race is a request under way directly and through others. The first answer of the
// receiver wins.
type race struct {
	engine *Engine
	line   *line
	direct http.RoundTripper
	req    *http.Request
	body   []byte
	down   bool // no direct path is up
	flash  bool // every way at once

	outcomes chan outcome
	timer    *time.Timer // of the next way
	begun    int         // routes
	running  int
	cancels  []context.CancelFunc
	directly error
	failed   []string
	refused  *outcome // what the receiver says of this way alone
}

// outcome of one way; route is nil for the direct one.
type outcome struct {
	index int
	route *route
	resp  *http.Response
	err   error
}

func (r *race) run(ctx context.Context) (*http.Response, error) {
	r.beginDirect(ctx)
	wait := patience
	if r.flash || r.down {
		wait = 0
	}
	r.timer = time.NewTimer(wait)
	defer r.timer.Stop()
	for r.running > 0 {
		select {
		case <-r.timer.C:
			r.beginRoute(ctx)
		case o := <-r.outcomes:
			r.running--
			if o.err == nil && r.running > 0 && o.resp.Header.Get(headerRefused) != "" {
				r.refused = &o // the direct path may be slower and better
				continue
			}
			if o.err == nil {
				return r.won(o), nil
			}
			if r.lost(ctx, o) {
				r.abandon(-1)
				return nil, o.err
			}
		}
	}
	if r.refused != nil {
		return r.won(*r.refused), nil
	}
	r.abandon(-1)
	return nil, r.verdict(ctx)
}

func (r *race) beginDirect(ctx context.Context) {
	own, index := r.own(ctx)
	copied := r.req.Clone(own)
	copied.Body, copied.GetBody = http.NoBody, nil
	if len(r.body) > 0 {
		copied.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		copied.Body = io.NopCloser(bytes.NewReader(r.body))
	}
	copied.ContentLength = int64(len(r.body))
	go func() {
		resp, err := r.direct.RoundTrip(copied) //nolint:bodyclose // whoever gets the outcome closes it
		r.outcomes <- outcome{index: index, resp: resp, err: err}
	}()
}

// beginRoute sends through the next peer; FLASH through all.
// A large request has more time, but the next way does not wait for that.
func (r *race) beginRoute(ctx context.Context) {
	r.timer.Reset(routeTime)
	for r.begun < len(r.line.routes) && ctx.Err() == nil {
		way := r.line.routes[r.begun]
		r.begun++
		own, index := r.own(ctx)
		go func() {
			resp, err := r.engine.through(own, r.line.trustDomain, way, r.req, r.body) //nolint:bodyclose // it is in memory
			r.outcomes <- outcome{index: index, route: way, resp: resp, err: err}
		}()
		if !r.flash {
			return
		}
	}
}

func (r *race) own(ctx context.Context) (own context.Context, index int) {
	own, cancel := context.WithCancel(ctx)
	r.cancels = append(r.cancels, cancel)
	r.running++
	return own, len(r.cancels) - 1
}

// won returns the answer, and ends the other ways.
func (r *race) won(o outcome) *http.Response {
	via := ""
	if o.route != nil {
		via = o.route.peer.TrustDomain
	}
	r.engine.arrived(r.line, via)
	r.abandon(o.index)
	o.resp.Request = r.req
	o.resp.Body = &closing{ReadCloser: o.resp.Body, then: r.cancels[o.index]}
	return o.resp
}

// abandon ends all ways but one, and waits for nobody.
func (r *race) abandon(but int) {
	for i, cancel := range r.cancels {
		if i != but {
			cancel()
		}
	}
	running, outcomes := r.running, r.outcomes
	if running == 0 {
		return
	}
	go func() {
		for range running {
			if o := <-outcomes; o.err == nil {
				o.resp.Body.Close()
			}
		}
	}()
}

// lost notes why a way failed, and tells whether no other would do better.
func (r *race) lost(ctx context.Context, o outcome) (final bool) {
	if o.route != nil {
		r.failed = append(r.failed, "through "+o.route.peer.TrustDomain+": "+o.err.Error())
		r.beginRoute(ctx)
		return false
	}
	r.directly = o.err
	if _, ofLink := errors.AsType[*link.Error](o.err); !ofLink && ctx.Err() == nil && !errors.Is(o.err, context.DeadlineExceeded) {
		return true // no version in common, or the request itself: the peer would not take it by any way
	}
	if r.begun == 0 {
		r.beginRoute(ctx)
	}
	return false
}

// verdict names every way that failed, in words that stay the same while that lasts.
func (r *race) verdict(ctx context.Context) error {
	cause, direct := report.CauseUnreachable, "no answer in time"
	if e, ok := errors.AsType[*link.Error](r.directly); ok {
		cause, direct = e.Cause, e.Message
	}
	if len(r.failed) == 0 && r.directly != nil {
		return r.directly
	}
	return &link.Error{Cause: cause, Message: strings.Join(append([]string{"directly: " + direct}, r.failed...), "; "), Err: errors.Join(r.directly, ctx.Err())}
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
