// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package gate accepts TLS connections and lets nobody past who has not finished
// the handshake: what it hands out is authenticated, and sorted by the protocol
// that the connection was opened for (ALPN).
//
// It bounds what strangers can hold: connections in the handshake, in all and
// for each source address, and the time and the bytes that a handshake may take. However many
// they are, they leave room for those who have finished a handshake lately. It bounds
// connections past the gate for each client and protocol. Beyond a bound a
// connection is closed at once, and counted.
//
// It decides nothing about trust (package identity does, in the TLS
// configuration) and reads no byte of a request.
package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Defaults of the bounds.
const (
	DefaultHandshakes       = 512
	DefaultPerSource        = 128
	DefaultHandshakeTimeout = 5 * time.Second
)

// acceptPause is how long to wait after an error of accept, such as too many open files.
const acceptPause = 100 * time.Millisecond

// linger and maxLinger bound how long a refused connection is drained.
const (
	linger    = time.Second
	maxLinger = 64 << 10
)

// Config is what a Gate needs.
type Config struct {
	// Listener accepts the TCP connections. Run closes it. Required.
	Listener net.Listener
	// TLS returns the configuration for one handshake. Required.
	TLS func() *tls.Config
	// Protocols are those that the gate sorts by, with the number of connections
	// that one client may hold of each. A connection without ALPN counts as
	// "http/1.1". Required.
	Protocols map[string]int
	// Held, if not nil, returns the bound for one client in the place of that in Protocols.
	Held func(client, protocol string) int
	// Under, if not nil, returns what lies between the TCP connection and TLS.
	Under func(net.Conn) net.Conn
	// Client names who is at the other end of a finished handshake. An error
	// closes the connection. Required.
	Client func(tls.ConnectionState) (string, error)
	// Refused is told of each handshake that failed. It must not block. May be nil.
	Refused func(remote net.Addr, err error)
	// Handshakes and PerSource bound the connections in the handshake, in all and
	// for each source address (an IPv6 /64 is one). A quarter of the first is for sources from which a
	// handshake was finished within a day. Zero means the defaults.
	Handshakes, PerSource int
	// HandshakeTimeout bounds a handshake. Zero means the default.
	HandshakeTimeout time.Duration
	// Log is required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Gate accepts connections.
type Gate struct {
	cfg     Config
	classes map[string]*class

	mu      sync.Mutex // guards what follows
	waiting map[netip.Prefix]int
	total   int
	held    map[holder]int
	known   acquaintances
}

type holder struct{ client, protocol string }

// New checks the configuration. It accepts nothing before Run.
func New(cfg Config) (*Gate, error) {
	if cfg.Listener == nil || cfg.TLS == nil || cfg.Client == nil || cfg.Log == nil || len(cfg.Protocols) == 0 {
		return nil, errors.New("gate needs a listener, a TLS configuration, protocols, a client name and a logger")
	}
	if cfg.Handshakes == 0 {
		cfg.Handshakes = DefaultHandshakes
	}
	if cfg.PerSource == 0 {
		cfg.PerSource = DefaultPerSource
	}
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = DefaultHandshakeTimeout
	}
	g := &Gate{cfg: cfg, classes: map[string]*class{}, waiting: map[netip.Prefix]int{}, held: map[holder]int{}, known: acquaintances{}}
	for protocol := range cfg.Protocols {
		g.classes[protocol] = newClass(cfg.Listener.Addr())
	}
	return g, nil
}

// Listener hands out the authenticated connections of one of the protocols. Its
// connections are *Conn.
func (g *Gate) Listener(protocol string) net.Listener { return g.classes[protocol] }

// Run accepts until the context ends, then closes the TCP listener and waits for
// the handshakes. Connections that were handed out are not its business any more.
func (g *Gate) Run(ctx context.Context) error {
	var handshakes sync.WaitGroup
	defer handshakes.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the handshakes
	stop := context.AfterFunc(ctx, func() { g.cfg.Listener.Close() })
	defer stop()
	for {
		conn, err := g.cfg.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			if conn != nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			g.cfg.Log.Warn("accepting a connection", "error", err)
			pause(ctx, acceptPause)
			continue
		}
		source := prefix(conn.RemoteAddr())
		if !g.enter(source) {
			g.cfg.Metrics.refused(reasonHandshakes)
			conn.Close()
			continue
		}
		handshakes.Go(func() { g.handshake(ctx, conn, source) })
	}
}

// handshake authenticates one connection and hands it to its protocol.
func (g *Gate) handshake(ctx context.Context, raw net.Conn, source netip.Prefix) {
	defer g.leave(source)
	ctx, cancel := context.WithTimeout(ctx, g.cfg.HandshakeTimeout)
	defer cancel()
	if err := tune(raw); err != nil {
		raw.Close()
		return
	}
	below := raw
	if g.cfg.Under != nil {
		below = g.cfg.Under(raw)
	}
	bounded := &stranger{Conn: below, left: maxHandshakeBytes}
	conn := tls.Server(bounded, g.cfg.TLS())
	if err := conn.HandshakeContext(ctx); err != nil {
		g.refuse(ctx, raw, err)
		return
	}
	state := conn.ConnectionState()
	client, err := g.cfg.Client(state)
	if err != nil {
		g.refuse(ctx, raw, err)
		return
	}
	bounded.left = unbounded
	g.met(source)
	protocol := state.NegotiatedProtocol
	if protocol == "" {
		protocol = "http/1.1"
	}
	g.hand(ctx, &Conn{Conn: conn, State: state, Client: client}, holder{client, protocol})
}

// refuse closes a connection whose handshake failed. It lets the other end read
// the alert that says why: closing a socket with unread bytes resets it, and a
// reset can overtake the alert.
func (g *Gate) refuse(ctx context.Context, raw net.Conn, err error) {
	defer raw.Close()
	g.cfg.Metrics.refused(reasonTLS)
	if g.cfg.Refused != nil {
		g.cfg.Refused(raw.RemoteAddr(), err)
	}
	if tcp, ok := raw.(*net.TCPConn); ok && ctx.Err() == nil && tcp.CloseWrite() == nil {
		_ = tcp.SetReadDeadline(time.Now().Add(linger))
		_, _ = io.CopyN(io.Discard, tcp, maxLinger)
	}
}

// hand gives an authenticated connection to whoever accepts its protocol.
func (g *Gate) hand(ctx context.Context, conn *Conn, h holder) {
	c, known := g.classes[h.protocol]
	if !known || !g.hold(h) {
		g.cfg.Metrics.refused(reasonHeld)
		conn.Close()
		return
	}
	conn.closed = func() { g.release(h) }
	if !c.put(ctx, conn) {
		conn.Close()
		return
	}
	g.cfg.Metrics.accepted(h.protocol)
}

func (g *Gate) enter(source netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	places := g.cfg.Handshakes
	if !g.known.has(source, time.Now()) {
		places -= places / reserved
	}
	if g.total >= places || g.waiting[source] >= g.cfg.PerSource {
		return false
	}
	g.total++
	g.waiting[source]++
	return true
}

// met notes that somebody at a source has finished a handshake.
func (g *Gate) met(source netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known.add(source, time.Now())
}

func (g *Gate) leave(source netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.waiting[source]--; g.waiting[source] == 0 {
		delete(g.waiting, source)
	}
}

func (g *Gate) hold(h holder) bool {
	limit := g.cfg.Protocols[h.protocol]
	if g.cfg.Held != nil {
		limit = g.cfg.Held(h.client, h.protocol)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held[h] >= limit {
		return false
	}
	g.held[h]++
	return true
}

func (g *Gate) release(h holder) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held[h]--; g.held[h] == 0 {
		delete(g.held, h)
	}
}

// prefix is the source that a bound counts: an IPv4 address or an IPv6 /64.
func prefix(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	ip = ip.Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits) // the zero prefix counts as one source
	return p
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
