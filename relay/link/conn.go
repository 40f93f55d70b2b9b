// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/stream"
)

// settleTime is how long a connection has to live, without being used, before its
// end is no failure of the path: the other end refuses a certificate only after
// our handshake has ended.
const settleTime = time.Second

// carrier is what a request arrives on: a connection and who is at its other end.
type carrier interface {
	// session is the finished handshake.
	session() *proven
}

// proven is the authenticated side of a connection.
type proven struct {
	state *tls.ConnectionState
	// serial of the certificate that we showed.
	serial string
	// key is the hash of the chain.
	key [sha256.Size]byte
	// verified is the snapshot under which the chain was last verified; nil at first.
	verified atomic.Pointer[identity.Snapshot]
}

func newProven(state *tls.ConnectionState, serial string) *proven {
	hash := sha256.New()
	for _, c := range state.PeerCertificates {
		hash.Write(c.Raw)
	}
	p := &proven{state: state, serial: serial}
	hash.Sum(p.key[:0])
	return p
}

func (p *proven) session() *proven { return p }

func (p *proven) chain() []*x509.Certificate { return p.state.PeerCertificates }

// conn is a framed connection with a peer.
type conn struct {
	*proven
	pool  *Pool
	class Class
	// path is set before entering ends.
	path *path
	// private connections are used by who opened them, and are never parked.
	private bool
	// heard is when a byte last arrived, Unix nanoseconds.
	heard atomic.Int64
	// begun is when its opening began, on either side.
	begun time.Time
	// entering ends when the connection is in the pool, or was refused by it.
	entering sync.WaitGroup
	once     sync.Once
	// unheard is of tidy, once the connection is in the pool.
	unheard unheard

	// Guarded by Pool.mu.
	framed  *stream.Conn // nil until it is in the pool
	listed  bool         // it is in the lane's list of parked connections
	ended   bool
	leaving bool // it drains
	// outdated: the peer, which we dialled, asks for another in its place. asked: so did we.
	outdated, asked bool
	beats           bool // it carries heartbeats
	uses            int
	opened          time.Time
	since           time.Time // parked since
}

func newConn(p *Pool, class Class, state *tls.ConnectionState, serial string, begun time.Time) *conn {
	c := &conn{proven: newProven(state, serial), pool: p, class: class, begun: begun}
	c.entering.Add(1)
	return c
}

// config is what the framing tells the pool.
func (c *conn) config() stream.Config {
	return stream.Config{
		Accept: c.accept,
		Parked: func(*stream.Conn) { c.pool.parked(c) },
		Taken:  func(*stream.Conn) { c.pool.taken(c) },
		Renew:  func(*stream.Conn) { c.pool.outdated(c) },
		Closed: func(_ *stream.Conn, err error) { c.pool.closed(c, err) },
		Heard:  &c.heard,
	}
}

// accept hands a stream of the peer over to whoever serves them.
func (c *conn) accept(s *stream.Stream) {
	c.entering.Wait()
	serve := c.pool.serving.Load()
	if serve == nil || c.path == nil {
		s.Abort()
		return
	}
	(*serve)(c, s)
}

// isReady lets streams in.
func (c *conn) isReady() { c.once.Do(c.entering.Done) }

// open begins a stream. If it cannot, nothing was delivered, and the error says so.
func (c *conn) open() (*stream.Stream, error) {
	s, err := c.framed.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", stream.ErrRefused, err)
	}
	return s, nil
}

// Cut ends the connection at once.
func (c *conn) Cut() { c.framed.Cut() }

// Drain takes no further stream and ends the connection with the present one.
func (c *conn) Drain() { c.framed.Drain() }

// fresh tells whether the connection has yet to prove that the peer took it. The
// caller holds Pool.mu.
func (c *conn) freshLocked(now time.Time) bool { return c.uses == 0 && now.Sub(c.opened) < settleTime }

// unaccepted tells whether an error of a stream says that nothing of it was
// delivered.
func unaccepted(err error) bool {
	return errors.Is(err, stream.ErrGlare) || errors.Is(err, stream.ErrRefused)
}
