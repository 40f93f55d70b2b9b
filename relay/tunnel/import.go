// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// patience is how long a client waits for a stream to the peer, answerTimeout how
// long one stream has to answer, and the pauses those between two attempts.
const (
	patience      = 5 * time.Second
	answerTimeout = patience
	firstPause    = 20 * time.Millisecond
	longestPause  = 500 * time.Millisecond
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
		e.clients.Go(func() { e.client(ctx, name, conn) })
	}
}

// client serves one connection to an imported service.
func (e *Engine) client(ctx context.Context, name string, conn net.Conn) {
	if c, rest := e.engage(ctx, name, conn); c != nil {
		e.run(c, rest)
	} else {
		reset(conn)
	}
}

// engage connects a client to the imported service, or notes why it cannot be.
func (e *Engine) engage(ctx context.Context, name string, conn net.Conn) (*connection, []byte) {
	t := e.now.Load()
	m := t.imports[name]
	if m == nil || t.peers[m.Peer] == nil {
		return nil, nil
	}
	p := t.peers[m.Peer]
	no := mayNot(p.State)
	if no == nil {
		no = occupy(p, m.service, m.MaxConnections)
	}
	if no != nil {
		e.failed(m, no.label, ourReason(no, m, p))
		return nil, nil
	}
	s, rest, err := e.reach(ctx, p.TrustDomain, m.Service)
	if err != nil {
		release(p.account, m.service)
		e.failed(m, reasonOf(err), explain(err, p.Name, m.Service))
		return nil, nil
	}
	e.trouble(m.service, "")
	c := e.connect(m.service, p.account, conn, s, m.IdleSeconds)
	c.remote = m.Service
	return c, rest
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
// and paths, as long as nothing can have reached the service, until its patience
// ends.
func (e *Engine) reach(ctx context.Context, trustDomain, service string) (*stream.Stream, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pause := firstPause
	for refused := 0; ; {
		s, err := e.cfg.Open(ctx, trustDomain)
		if err == nil {
			var rest []byte
			if rest, err = ask(ctx, s, service); err == nil {
				return s, rest, nil
			}
			if _, answered := errors.AsType[*answerError](err); answered {
				_ = s.Close()
				return nil, nil, err
			}
			s.Abort()
			if errors.Is(err, errHead) {
				return nil, nil, err // it speaks something else, and will again
			}
			if refused++; refused < manyRefused && (errors.Is(err, stream.ErrGlare) || errors.Is(err, stream.ErrRefused)) {
				continue // another connection is likely to be free
			}
		}
		if !wait(ctx, pause) {
			return nil, nil, err
		}
		pause = min(2*pause, longestPause)
	}
}

// ask sends a CONNECT and returns what came after an answer of 200.
func ask(ctx context.Context, s *stream.Stream, service string) (rest []byte, err error) {
	by, ok := ctx.Deadline()
	if !ok {
		by = time.Now().Add(answerTimeout)
	}
	_ = s.SetDeadline(by)
	if _, err := s.Write(request(service)); err != nil {
		return nil, fmt.Errorf("asking for the service: %w", err)
	}
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
	if a, ok := errors.AsType[*answerError](err); ok {
		return fmt.Sprintf("status_%d", a.status)
	}
	return "no_stream"
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
