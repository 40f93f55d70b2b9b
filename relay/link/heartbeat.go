// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// heartbeatProtocol is what a heartbeat connection is upgraded to (RFC 9110
// section 7.8).
const heartbeatProtocol = "certlink-heartbeat"

// refreshBeatsEvery is the pause between two heartbeat connections of a path that
// are ended because a certificate was renewed, so that the others go on meanwhile.
const refreshBeatsEvery = 2 * time.Second

// Heartbeat opens a connection to an address of a peer and upgrades it to
// heartbeats. The context bounds the opening only; closing what is returned closes
// the connection. It ends by itself, soon after a certificate of ours was renewed or
// a root of the peer has retired: open the next at once. Errors are *Error.
func (p *Pool) Heartbeat(ctx context.Context, at Path) (net.Conn, report.TLS, error) {
	c, err := p.private(ctx, at, Probe, &Sighting{})
	if err != nil {
		return nil, report.TLS{}, classify(at.Address, err)
	}
	beats, err := p.upgrade(ctx, c)
	if err != nil {
		c.Cut()
		return nil, report.TLS{}, classify(at.Address, p.reason(c, err))
	}
	return beats, facts(c.state), nil
}

// private opens a connection that is not shared, in the place of one of its class.
func (p *Pool) private(ctx context.Context, at Path, class Class, saw *Sighting) (*conn, error) {
	p.mu.Lock()
	pr, err := p.callable(at.TrustDomain)
	if err != nil {
		p.mu.Unlock()
		return nil, err
	}
	pt := pr.paths[at]
	switch {
	case pt == nil || !pt.wanted:
		err = &Error{Cause: report.CauseNoEndpoints, Message: fmt.Sprintf("%s is no address of peer %q", at.Address, pr.cfg.Name)}
	case pr.held[class] >= held(pr.cfg, class):
		err = &Error{Cause: report.CauseUnreachable, Message: fmt.Sprintf("peer %q has all %d connections of the class %s", pr.cfg.Name, pr.held[class], class)}
	default:
		pr.held[class]++
	}
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c, err := p.dial(ctx, at, class, saw, true)
	if err != nil {
		p.mu.Lock()
		pr.held[class]--
		p.mu.Unlock()
	} else {
		err = p.admit(c, pt)
	}
	if err != nil {
		p.metrics.dials.WithLabelValues("failed").Inc()
		return nil, err
	}
	p.metrics.dials.WithLabelValues("opened").Inc()
	return c, nil
}

// upgrade asks the peer for heartbeats on a connection.
func (p *Pool) upgrade(ctx context.Context, c *conn) (net.Conn, error) {
	s, err := c.framed.Open()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	c.beats = true
	c.uses++
	p.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.path.TrustDomain+PathHeartbeat, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("building a request: %w", err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", heartbeatProtocol)
	x := newExchange(ctx, s)
	resp, err := x.do(req, classes[Probe].answer)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body.Close()
		return nil, refusedBeats(resp.StatusCode)
	}
	if !x.stop() {
		return nil, ctx.Err()
	}
	p.proved(c)
	return &beating{Stream: s, in: x.in, on: c}, nil
}

func refusedBeats(status int) *Error {
	if status == http.StatusForbidden {
		return &Error{Cause: report.CauseRefused,
			Message: "the peer's relay does not accept us any more: ask the peer whether it has revoked us"}
	}
	return &Error{Cause: report.CauseProtocol, Message: fmt.Sprintf(
		"the peer's relay answers the request for heartbeats with HTTP status %d, not as this protocol has it: one of the two sides must be upgraded", status)}
}

// beating is a stream that carries heartbeats, and owns its connection.
type beating struct {
	*stream.Stream
	in *bufio.Reader
	on *conn
}

func (b *beating) Read(p []byte) (int, error) {
	if b.in != nil && b.in.Buffered() > 0 {
		return b.in.Read(p)
	}
	return b.Stream.Read(p)
}

// NetConn returns the TLS connection, for who asks the kernel about it. Nobody but
// the framing may read or write it.
func (b *beating) NetConn() net.Conn { return b.on.framed.NetConn() }

// Close ends the connection as well.
func (b *beating) Close() error {
	b.on.Cut()
	return nil
}

// heartbeatOr serves heartbeats, and leaves all else to the handler.
func (s *Server) heartbeatOr(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != PathHeartbeat {
			next.ServeHTTP(w, r)
			return
		}
		c, framed := r.Context().Value(carrierKey{}).(*carried)
		peer, known := access.PeerFrom(r.Context())
		switch {
		case !framed || !known || s.cfg.Heartbeats == nil:
			problem.Write(w, http.StatusNotFound, "no heartbeats here")
		case c.on.framed.Dialed():
			problem.Write(w, http.StatusForbidden, "the side that dialled asks for heartbeats")
		case r.Method != http.MethodGet || r.Header.Get("Upgrade") != heartbeatProtocol:
			w.Header().Set("Upgrade", heartbeatProtocol)
			problem.Write(w, http.StatusUpgradeRequired, "heartbeats need an upgrade to "+heartbeatProtocol)
		default:
			s.beat(w, peer, c)
		}
	})
}

// beat switches a stream to heartbeats and serves them until they end.
func (s *Server) beat(w http.ResponseWriter, peer access.Peer, c *carried) {
	s.mu.Lock()
	ctx := s.life
	s.work.Add(1) // before the handler returns, so before the server has shut down
	s.mu.Unlock()
	defer s.work.Done()
	netConn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		problem.Write(w, http.StatusInternalServerError, "the stream cannot be upgraded")
		return
	}
	defer netConn.Close()
	p := s.cfg.Pool
	p.mu.Lock()
	c.on.beats = true
	p.mu.Unlock()
	defer c.on.Cut()
	_, err = fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", heartbeatProtocol)
	if err = errors.Join(err, buffered.Flush()); err != nil {
		return
	}
	beats := &beating{Stream: c.Stream, in: buffered.Reader, on: c.on}
	s.cfg.Heartbeats(ctx, peer, c.on.path.Path, facts(c.on.state), beats)
}

// refreshBeats ends one heartbeat connection of the path that a renewed
// certificate of ours, or a retired root of the peer, has outdated. The side that
// dialled opens the next at once. The caller holds p.mu.
func (p *Pool) refreshBeats(pt *path, now time.Time) {
	if now.Sub(pt.refreshed) < refreshBeatsEvery {
		return
	}
	for c := range pt.conns {
		if c.beats && (c.leaving || c.serial != p.serial) {
			pt.refreshed = now
			go c.Cut()
			return
		}
	}
}
