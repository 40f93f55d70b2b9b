// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/stream"
)

// Why a framed connection of a peer was refused, as a label of metrics.
const (
	refusedHello = "hello"
	refusedPaths = "too_many_paths"
	refusedHeld  = "too_many_connections"
	refusedLeaf  = "not_a_relay"
	refusedTrust = "trust_has_changed"
)

// frame begins a framed connection that a peer dialled.
func (s *Server) frame(g *gate.Conn, class Class) {
	serial := s.cfg.Identity.Current().LinkSerial()
	p := s.cfg.Pool
	c := newConn(p, class, &g.State, serial, p.cfg.Clock())
	defer c.isReady()
	if !isRelay(c.chain()) {
		p.metrics.refused.WithLabelValues(refusedLeaf).Inc()
		g.Close()
		return
	}
	c.watch(g)
	framed, hello, err := stream.Server(authenticated{g}, c.config())
	if err != nil {
		p.metrics.refused.WithLabelValues(refusedHello).Inc()
		s.cfg.Log.Debug("a connection did not begin", "client", g.Client, "class", string(class), "error", err)
		return
	}
	c.framed = framed
	if reason := p.accept(c, Path{TrustDomain: g.Client, Address: hello.Address, Accepted: true}); reason != "" {
		p.metrics.refused.WithLabelValues(reason).Inc()
		framed.Cut()
	}
}

// authenticated shows what lies under a connection of the gate.
type authenticated struct{ *gate.Conn }

// TLS is for package stream.
func (a authenticated) TLS() *tls.Conn { return a.Conn.Conn }

// accept takes a connection into the pool that a peer dialled, or says why not.
func (p *Pool) accept(c *conn, at Path) (refused string) {
	if !isAddress(at.Address) {
		return refusedHello
	}
	p.mu.Lock()
	pr, err := p.callable(at.TrustDomain)
	if err != nil {
		p.mu.Unlock()
		return refusedTrust
	}
	pt := pr.accepted(at, p.cfg.Clock())
	if pt == nil || pr.held[c.class] >= held(pr.cfg, c.class) {
		p.mu.Unlock()
		if pt == nil {
			return refusedPaths
		}
		return refusedHeld
	}
	pr.held[c.class]++
	p.isThere(pr)
	p.mu.Unlock()
	if err := p.admit(c, pt); err != nil {
		return refusedTrust
	}
	p.parked(c)
	return ""
}

// isThere lets addresses of a peer that failed be dialled at once, because it has
// come to us; once a second, for it comes as often as it likes. The caller holds p.mu.
func (p *Pool) isThere(pr *peer) {
	now := p.cfg.Clock()
	if now.Sub(pr.came) < tidyEvery {
		return
	}
	pr.came = now
	for _, own := range pr.paths {
		if own.wanted && own.failures > 0 {
			p.encourage(own)
		}
	}
}

// isAddress tells whether a text looks like HOST:PORT. What it leads to is of no
// interest: it names a path.
func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || strings.Trim(port, "0123456789") != "" {
		return false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && strings.IndexFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) < 0
}

// streams is a net.Listener of the streams that peers open, on whose connections
// soever.
type streams struct {
	addr net.Addr
	come chan net.Conn
	done chan struct{}
	once sync.Once
}

func newStreams(addr net.Addr) *streams {
	return &streams{addr: addr, come: make(chan net.Conn), done: make(chan struct{})}
}

// put hands a stream to who accepts; false when nobody does any more.
func (l *streams) put(s net.Conn) bool {
	select {
	case l.come <- s:
		return true
	case <-l.done:
		return false
	}
}

// Accept waits for the next stream.
func (l *streams) Accept() (net.Conn, error) {
	select {
	case s := <-l.come:
		return s, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *streams) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is that of the link port.
func (l *streams) Addr() net.Addr { return l.addr }

// carried is a stream with the connection that carries it.
type carried struct {
	*stream.Stream
	on *conn
	// came was read of the stream already, and is to be read again; nil if there is nothing. waited is how
	// long that has taken.
	came   *bytes.Reader
	waited time.Duration
}

// SetReadDeadline is that of the stream. A server whose request was read before by others counts from the moment at
// which it got it: the request has its time only once.
func (c *carried) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		t = t.Add(-c.waited)
	}
	return c.Stream.SetReadDeadline(t)
}

func (c *carried) session() *proven { return c.on.proven }

// Read reads what came first, then the stream.
func (c *carried) Read(p []byte) (int, error) {
	if c.came == nil || c.came.Len() == 0 {
		c.came = nil
		return c.Stream.Read(p)
	}
	return c.came.Read(p)
}

// serveStream gives a stream of a peer to the server of its class.
func (s *Server) serveStream(c *conn, st *stream.Stream) {
	if c.class == Tunnel {
		s.serveTunnel(c, st)
		return
	}
	in := &carried{Stream: st, on: c}
	if c.class == Hotline && s.serveShort(in) {
		return
	}
	if !s.streams[c.class].put(in) {
		st.Abort()
	}
}

// serveTunnel gives a stream to the tunnels, with who opened it.
func (s *Server) serveTunnel(c *conn, st *stream.Stream) {
	peer, err := s.who(c.proven)
	if err != nil || s.cfg.Tunnel == nil {
		st.Abort()
		return
	}
	s.mu.Lock()
	ctx := s.life
	if ctx == nil || ctx.Err() != nil {
		s.mu.Unlock()
		st.Abort()
		return
	}
	s.work.Add(1)
	s.mu.Unlock()
	defer s.work.Done()
	s.cfg.Tunnel(ctx, peer, st)
}
