// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/socket"
	"github.com/certlink/certlink/relay/stream"
)

// patience is how long a client waits for the answer of the peer, and the pauses those
// between two attempts.
const (
	patience     = 5 * time.Second
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
	// manyRefused is how many connections may take no stream before there is a pause
	// after each: more than are ever parked.
	manyRefused = 100
)

// accept serves a listener until it is closed.
func (e *Engine) accept(ctx context.Context, l net.Listener, name string) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			e.cfg.Log.Warn("accepting a connection for an imported service", "service", name, "error", err)
			if !wait(ctx, longestPause) {
				return
			}
			continue
		}
		e.welcome(ctx, name, conn)
	}
}

// client is a connection to an imported service that is not connected yet.
type client struct {
	*importRow
	peer  *peerRow
	conn  net.Conn
	until time.Time // the end of its patience
}

// welcome begins to connect a client to the imported service, or notes why it cannot be. It
// waits for nothing: the goroutine that reads the connection to the peer goes on, or one
// of the client's own if no connection is parked.
func (e *Engine) welcome(ctx context.Context, name string, conn net.Conn) {
	c := e.engage(name, conn)
	if c == nil {
		socket.Reset(conn)
		return
	}
	e.clients.Add(1)
	var s *stream.Stream
	if e.cfg.OpenParked != nil {
		s = e.cfg.OpenParked(c.peer.TrustDomain)
	}
	serve := func() {
		if on := e.client(ctx, c, s); on != nil && on != s {
			on.ReadOn()
		}
	}
	if s == nil {
		go serve()
		return
	}
	s.Then(serve)
	_ = c.ask(s) // if it fails, so does what reads the answer
}

// client connects a client, over a stream on which its request was sent or, if that is nil or
// leads nowhere, over others. It returns the stream that it has, nil if there is none.
func (e *Engine) client(ctx context.Context, c *client, s *stream.Stream) *stream.Stream {
	defer e.clients.Done()
	s, rest, err := e.reach(ctx, c, s)
	if err != nil {
		release(c.peer.account, c.service)
		e.failed(c.importRow, reasonOf(err), explain(err, c.peer.Name, c.Service))
		socket.Reset(c.conn)
		return nil
	}
	e.trouble(c.service, "")
	on := e.connect(c.service, c.peer.account, c.conn, s, c.IdleSeconds)
	on.remote = c.Service
	e.run(on, rest)
	return s
}

// engage counts a client in, or notes why it may not be connected.
func (e *Engine) engage(name string, conn net.Conn) *client {
	t := e.now.Load()
	m := t.imports[name]
	if m == nil || t.peers[m.Peer] == nil {
		return nil
	}
	p := t.peers[m.Peer]
	no := mayNot(p.State)
	if no == nil {
		no = occupy(p, m.service, m.MaxConnections)
	}
	if no != nil {
		e.failed(m, no.label, ourReason(no, m, p))
		return nil
	}
	return &client{importRow: m, peer: p, conn: conn, until: time.Now().Add(patience)}
}

// ourReason says why our own side opens no connection.
func ourReason(no *refusal, m *importRow, p *peerRow) string {
	switch no {
	case refusePeerLimit:
		return say("peer %q has all the %d connections that our side allows it", p.Name, p.Limits.TunnelConnections)
	case refuseServiceLimit:
		return say("all the %d connections that our side allows are in use", m.MaxConnections)
	default:
		return say("peer %q is %s on our side", p.Name, p.State)
	}
}

// failed notes that an imported service could not be reached.
func (e *Engine) failed(m *importRow, reason, problem string) {
	e.metrics.failed.WithLabelValues(m.Name, reason).Inc()
	e.trouble(m.service, problem)
}

// reach opens a stream to a service of a peer. It tries again on other connections
// and paths, as long as nothing can have reached the service, until the client's patience
// ends. On the stream that it is given, if any, the service was asked for already.
func (e *Engine) reach(ctx context.Context, c *client, s *stream.Stream) (*stream.Stream, []byte, error) {
	pause := firstPause
	for refused := 0; ; {
		var err error
		if s == nil {
			s, err = e.stream(ctx, c)
		}
		if err == nil {
			var rest []byte
			if rest, err = hear(s); err == nil {
				return s, rest, nil
			}
			if _, answered := errors.AsType[*answerError](err); answered {
				_ = s.Close()
				return nil, nil, err
			}
			s.Abort()
			s = nil
			if errors.Is(err, errHead) {
				return nil, nil, err // it speaks something else, and will again
			}
			if refused++; refused < manyRefused && (errors.Is(err, stream.ErrGlare) || errors.Is(err, stream.ErrRefused)) {
				continue // another connection is likely to be free
			}
		}
		if time.Until(c.until) <= pause || !wait(ctx, pause) {
			return nil, nil, err
		}
		pause = min(2*pause, longestPause)
	}
}

// stream opens a stream and asks for the service on it.
func (e *Engine) stream(ctx context.Context, c *client) (*stream.Stream, error) {
	ctx, cancel := context.WithDeadline(ctx, c.until)
	defer cancel()
	s, err := e.cfg.Open(ctx, c.peer.TrustDomain)
	if err != nil {
		return nil, err
	}
	_ = c.ask(s) // who reads the answer sees the error
	return s, nil
}

// ask sends a CONNECT. An error is that of the stream, which has failed.
func (c *client) ask(s *stream.Stream) error {
	_ = s.SetDeadline(c.until)
	if _, err := s.Write(request(c.Service)); err != nil {
		return fmt.Errorf("asking for the service: %w", err)
	}
	return nil
}

// hear reads the answer, and returns what came after one of 200.
func hear(s *stream.Stream) (rest []byte, err error) {
	head, rest, err := readHead(s)
	if err != nil {
		return nil, err
	}
	status, reason, err := parseResponse(head)
	switch {
	case err != nil:
		return nil, err
	case status != 200:
		return nil, &answerError{status: status, reason: reason[:min(len(reason), maxReason)]}
	}
	return rest, s.SetDeadline(time.Time{})
}

// maxReason is how much of a peer's reason is told to people, in bytes.
const maxReason = 200

// answerError is an answer other than 200.
type answerError struct {
	status int
	reason string
}

func (e *answerError) Error() string { return fmt.Sprintf("%d %s", e.status, e.reason) }

// reasonOf is the label of a failure.
func reasonOf(err error) string {
	a, answered := errors.AsType[*answerError](err)
	switch {
	case !answered:
		return "no_stream"
	case a.status == http.StatusBadRequest, a.status == http.StatusForbidden, a.status == http.StatusBadGateway, a.status == http.StatusServiceUnavailable:
		return fmt.Sprintf("status_%d", a.status)
	}
	return "status_other" // a peer may answer with any
}

// explain says why an imported service cannot be reached, on which side, and what
// to do.
func explain(err error, peer, service string) string {
	a, answered := errors.AsType[*answerError](err)
	switch {
	case errors.Is(err, errHead):
		return say("peer %q answered with what is no answer: %v; one of the two sides may need an upgrade", peer, err)
	case !answered:
		return say("no connection to peer %q within %s: %s; see the state of the link", peer, patience, plain(err))
	case a.status == 403:
		return say("peer %q does not let us use its service %q (%s); ask the peer to name us in its export", peer, service, a.reason)
	case a.status == 502:
		return say("peer %q cannot reach the target of its service %q (%s); ask the peer to look at it", peer, service, a.reason)
	default:
		return say("peer %q refuses its service %q (%s)", peer, service, a.Error())
	}
}

// wait pauses; false when the context has ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
