// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// maxTries bounds how often a request is sent again because nothing of it was
// delivered.
const maxTries = 32

// maxEnded bounds it where the connection ended and nobody can tell what was
// delivered.
const maxEnded = 3

// Client returns an HTTP client whose requests, to https://TRUSTDOMAIN/..., go to
// the relay of that peer over its best path, on connections that either side has
// dialled. Its errors are *Error inside a *url.Error. It follows no redirects and
// is safe concurrently. Every request of the link may be repeated (messages are
// keyed by id): one is sent again, on another connection, when the first ended before
// a byte of the response had come, and over other paths as its context says
// (WithHedge, WithAllPaths).
func (p *Pool) Client(trustDomain string, class Class) *http.Client {
	return client(&roundTripper{pool: p, want: want{trustDomain: trustDomain, class: class}})
}

// PathClient is Client for requests over one path.
func (p *Pool) PathClient(at Path, class Class) *http.Client {
	return client(&roundTripper{pool: p, want: want{trustDomain: at.TrustDomain, class: class, only: &at}})
}

func client(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// roundTripper sends requests to one peer.
type roundTripper struct {
	pool *Pool
	want want
	// take returns the connection for a try; nil means one of the pool.
	take func(context.Context, want) (*conn, error)
}

// RoundTrip sends a request. An error is an *Error unless the request's own
// context ended. The response's TLS state is that of the connection.
func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if req.URL.Scheme != "https" || req.URL.Host != rt.want.trustDomain {
		return nil, &Error{Cause: report.CauseProtocol, Message: fmt.Sprintf(
			"a request for %s://%s does not belong to the peer %q", req.URL.Scheme, req.URL.Host, rt.want.trustDomain)}
	}
	req, err := repeatable(req, classes[rt.want.class].body)
	if err != nil {
		return nil, err
	}
	if rt.want.only == nil && rt.take == nil {
		if resp, err, ok := rt.hedge(req); ok {
			return resp, err
		}
	}
	return rt.send(req.Context(), req, rt.want)
}

// repeatable gives the request a body that can be read more than once. What may be
// larger than the class allows is read no further: the peer refuses it anyway.
func repeatable(req *http.Request, limit int64) (*http.Request, error) {
	out := req.Clone(req.Context())
	out.Close = true // one stream carries one request
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return out, nil
	}
	data, err := io.ReadAll(io.LimitReader(req.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the body of a request: %w", err)
	}
	out.ContentLength = int64(len(data))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	return out, nil
}

// send sends a request over one path after the other until one is answered, again
// where nothing was delivered.
func (rt *roundTripper) send(ctx context.Context, req *http.Request, wanted want) (*http.Response, error) {
	take := rt.take
	if take == nil {
		take = rt.pool.take
	}
	begun, ended := rt.pool.cfg.Clock(), 0
	for try := 1; ; try++ {
		c, err := take(ctx, wanted)
		if err != nil {
			return nil, err
		}
		resp, again, err := rt.try(ctx, c, req)
		if err == nil {
			return resp, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		if !unaccepted(err) {
			ended++
			// What refused a connection before this request may be over by now.
			_, refused := remoteAlert(err)
			again = again || refused && c.begun.Before(begun)
		}
		if !again || try == maxTries || ended == maxEnded || ctx.Err() != nil {
			return nil, classify(c.path.Address, err)
		}
	}
}

// try sends a request on one connection. It tells whether it may be sent again on
// another one.
func (rt *roundTripper) try(ctx context.Context, c *conn, req *http.Request) (resp *http.Response, again bool, err error) {
	p := rt.pool
	s, err := c.open()
	if err != nil {
		return nil, p.lost(c, err), p.reason(c, err)
	}
	out := req.WithContext(ctx)
	if req.GetBody != nil && req.Body != nil {
		if out.Body, err = req.GetBody(); err != nil {
			s.Abort()
			return nil, false, fmt.Errorf("reading the body of a request: %w", err)
		}
	}
	x := newExchange(ctx, s)
	resp, err = x.do(out, classes[c.class].answer)
	if err != nil {
		if errors.Is(err, stream.ErrGlare) {
			p.metrics.glare.Inc()
		}
		return nil, !x.began && p.lost(c, err), p.reason(c, err)
	}
	resp.TLS = c.state
	p.proved(c)
	return resp, false, nil
}

// proved notes a response over a connection.
func (p *Pool) proved(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.path.worked = p.cfg.Clock()
	p.works(c.path)
}

// lost tells whether a request whose response did not begin may go again: nothing
// was delivered, or the connection had ended, as idle ones may unseen. A refusal
// does not mend itself.
func (p *Pool) lost(c *conn, err error) bool {
	if _, refused := remoteAlert(p.reason(c, err)); refused {
		return false
	}
	return unaccepted(err) || c.framed.Err() != nil && !isTimeout(err)
}

// reason returns what the other end said when it ended the connection, or else the
// given error: in TLS 1.3 the side that dialled has finished the handshake before
// the other has looked at its certificate, so a refusal comes as an alert.
func (p *Pool) reason(c *conn, err error) error {
	if ended := c.framed.Err(); ended != nil {
		if _, ok := remoteAlert(ended); ok {
			return ended
		}
	}
	return err
}

// Open opens a stream of the tunnel class. It sends nothing yet; if it fails with
// an error that Again names before anything has come back, nothing was delivered.
func (p *Pool) Open(ctx context.Context, trustDomain string) (*stream.Stream, error) {
	for range maxTries {
		c, err := p.take(ctx, want{trustDomain: trustDomain, class: Tunnel})
		if err != nil {
			return nil, err
		}
		s, err := c.open()
		if err == nil {
			return s, nil
		}
		if !p.lost(c, err) {
			return nil, classify(c.path.Address, p.reason(c, err))
		}
	}
	return nil, &Error{Cause: report.CauseUnreachable, Message: fmt.Sprintf("every connection to peer %q is taken or closed at once", trustDomain)}
}

// OpenParked is Open on a connection that is parked on the best path; nil if there is
// none, or it cannot be used. It does not wait.
func (p *Pool) OpenParked(trustDomain string) *stream.Stream {
	p.mu.Lock()
	pr, err := p.callable(trustDomain)
	if err != nil {
		p.mu.Unlock()
		return nil
	}
	c, _ := p.pickParked(pr, want{trustDomain: trustDomain, class: Tunnel})
	p.mu.Unlock()
	if c == nil {
		return nil
	}
	s, err := c.open()
	if err != nil {
		return nil // the peer has just taken it, or it has ended
	}
	return s
}

// Explain turns an error of a stream into an *Error.
func (p *Pool) Explain(s *stream.Stream, err error) error {
	address := s.Conn().Hello().Address
	if ended := s.Conn().Err(); ended != nil {
		if _, ok := remoteAlert(ended); ok {
			err = ended
		}
	}
	return classify(address, err)
}
