// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultHelloTimeout bounds the wait for HELLO, and its sending.
const DefaultHelloTimeout = 5 * time.Second

// lingerTimeout is how long a closed stream waits for the other side's END, and
// partingTimeout how long a connection that takes no more streams waits for the
// other side to close it.
const (
	lingerTimeout  = 10 * time.Second
	partingTimeout = time.Second
)

// Config is what happens on a connection. Callbacks are called without any lock
// and may call all methods; each is called by the goroutine that reads, so it
// must not block, save Accept.
type Config struct {
	// Accept is called for each stream that the other side opens, and owns the stream: it,
	// or who it hands it to, closes it. Nobody else reads the connection until it has read
	// END, or closed the stream. If nil, streams are refused and the connection ends.
	Accept func(*Stream)
	// Parked is told that the connection is free: once before Client or Server
	// returns, and each time that a stream has ended in both directions. In a race
	// with an end of the connection it may come just after Closed. May be nil.
	Parked func(*Conn)
	// Taken is told that the other side opened a stream, before Accept. May be nil.
	Taken func(*Conn)
	// Renew is told, once, that the other side asks for another connection in the place of this
	// one, which this side has dialled. May be nil.
	Renew func(*Conn)
	// Closed is told, once, that the connection has ended and why. May be nil.
	Closed func(*Conn, error)
	// Heard is set to the time (Unix nanoseconds) of each arrival. May be nil.
	Heard *atomic.Int64
	// HelloTimeout bounds HELLO. Zero means the default.
	HelloTimeout time.Duration
}

// Conn is a framed connection. All methods may be called concurrently.
type Conn struct {
	conn   net.Conn
	wire   *wire     // nil if there is none under conn
	tls    *tls.Conn // nil if conn is none that we know
	cfg    Config
	hello  Hello
	dialed bool

	handle sync.Mutex // held while a stream ends, until Parked was told; taken before wmu
	wmu    sync.Mutex // one frame is written at a time; taken before mu
	writes atomic.Uint64

	// Of the goroutine that reads: the loop, or the reader of the stream.
	header  [headerSize]byte
	headerN int
	remain  int  // of the payload, for the reader of the stream
	skip    int  // of a payload that nobody wants
	renewed bool // the other side has asked for another connection
	try     func() bool
	seen    struct { // by try
		kind kind
		n    int
		err  error
	}

	mu        sync.Mutex // guards what follows and the state of the stream
	stream    *Stream    // nil when parked
	draining  bool
	parting   bool // our last ABORT has left or is leaving
	deadlines bool // some deadline was set for the stream
	err       error
	ended     bool          // err is set, and the socket is closed
	done      chan struct{} // closed with that; nil while nobody has asked for it
}

// Client begins a framed connection on the side that dialled. conn is
// authenticated and the caller does not use it any more; on an error it is closed.
func Client(conn net.Conn, hello Hello, cfg Config) (*Conn, error) {
	c := newConn(conn, cfg, true)
	c.hello = hello
	frame, err := hello.frame()
	if err == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(c.cfg.HelloTimeout))
		_, err = conn.Write(frame)
	}
	if err != nil {
		c.cutConn()
		return nil, fmt.Errorf("sending HELLO: %w", err)
	}
	_ = conn.SetWriteDeadline(time.Time{})
	c.start()
	return c, nil
}

// Server begins a framed connection on the side that was dialled, when the other
// side has said HELLO. On an error it closes conn. Callbacks may come before it
// returns; they find the HELLO in Conn.Hello.
func Server(conn net.Conn, cfg Config) (*Conn, Hello, error) {
	c := newConn(conn, cfg, false)
	_ = conn.SetReadDeadline(time.Now().Add(c.cfg.HelloTimeout))
	hello, err := c.readHello()
	if err != nil {
		c.cutConn()
		return nil, Hello{}, fmt.Errorf("reading HELLO: %w", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	c.hello = hello
	c.start()
	return c, hello, nil
}

func newConn(conn net.Conn, cfg Config, dialed bool) *Conn {
	if cfg.HelloTimeout == 0 {
		cfg.HelloTimeout = DefaultHelloTimeout
	}
	c := &Conn{conn: conn, wire: wireOf(conn), tls: tlsOf(conn), cfg: cfg, dialed: dialed}
	c.try = c.tryHeader
	if c.wire != nil {
		c.wire.heard = cfg.Heard
	}
	return c
}

func (c *Conn) readHello() (Hello, error) {
	k, n, err := c.readHeader(false)
	switch {
	case err != nil:
		return Hello{}, err
	case k != kindHello:
		return Hello{}, violation("%v in the place of HELLO", k)
	}
	b := make([]byte, n)
	for got := 0; got < n; {
		m, err := c.read(b[got:], false)
		if got += m; err != nil {
			return Hello{}, err
		}
	}
	return parseHello(b)
}

func (c *Conn) start() {
	c.park()
	go c.loop()
}

// Hello returns what the side that dialled said.
func (c *Conn) Hello() Hello { return c.hello }

// Dialed tells whether this side dialled.
func (c *Conn) Dialed() bool { return c.dialed }

// NetConn returns the connection that was given to Client or Server. It is for
// asking about it, not for reading or writing.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.ended {
			close(c.done)
		}
	}
	return c.done
}

// Err says why the connection ended, nil while it lasts.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Busy tells whether a stream is on the connection.
func (c *Conn) Busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream != nil
}

// Open begins a stream. It does not wait, and sends nothing: OPEN leaves with the
// first bytes written, or when the stream is read. The error is ErrBusy or
// ErrClosed. The stream can yet fail with ErrGlare or ErrRefused.
func (c *Conn) Open() (*Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil || c.draining:
		return nil, ErrClosed
	case c.stream != nil:
		return nil, ErrBusy
	}
	c.stream = newStream(c, true)
	return c.stream, nil
}

// Close ends the connection: politely when it is parked, at once when it carries
// a stream, which fails.
func (c *Conn) Close() error {
	if !c.Busy() {
		c.part()
		c.fail(ErrClosed, true)
		return nil
	}
	c.Cut()
	return nil
}

// Cut ends the connection at once, without waiting for the other side to read.
func (c *Conn) Cut() { c.fail(ErrClosed, false) }

// Drain takes no further stream, and ends the connection when the present one has
// ended, after telling the other side. It does not wait.
func (c *Conn) Drain() {
	c.mu.Lock()
	now := !c.draining && c.err == nil && c.stream == nil
	c.draining = true
	c.mu.Unlock()
	if now {
		go c.part()
	}
}

// park tells that the connection is free, or ends it if it drains. Somebody must
// be reading it, or begin to.
func (c *Conn) park() {
	c.mu.Lock()
	draining, dead := c.draining, c.err != nil
	c.mu.Unlock()
	switch {
	case dead:
	case draining:
		c.part()
	case c.cfg.Parked != nil:
		c.cfg.Parked(c)
	}
}

// part tells the other side that this connection takes no more streams, and gives
// it a while to close it: closing at once could reset what is on its way.
func (c *Conn) part() {
	c.mu.Lock()
	if c.parting || c.err != nil {
		c.mu.Unlock()
		return
	}
	c.draining, c.parting = true, true
	_ = c.conn.SetDeadline(time.Now().Add(partingTimeout))
	c.mu.Unlock()
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_ = c.emitKind(kindAbort)
}

// fail ends the connection and its stream, once.
func (c *Conn) fail(err error, polite bool) { c.failUnder(nil, err, polite) }

// failUnder is fail if the connection still carries the stream; nil is any or none.
func (c *Conn) failUnder(only *Stream, err error, polite bool) {
	c.mu.Lock()
	if c.err != nil || only != nil && c.stream != only {
		c.mu.Unlock()
		return
	}
	c.err = err
	if s := c.stream; s != nil {
		c.stream = nil
		s.failLocked(insideStream(err))
	}
	c.mu.Unlock()
	if polite {
		_ = c.conn.Close()
	} else {
		c.cutConn()
	}
	c.mu.Lock()
	c.ended = true
	if c.done != nil {
		close(c.done)
	}
	c.mu.Unlock()
	if c.cfg.Closed != nil {
		c.cfg.Closed(c, err)
	}
}

// insideStream is what the end of a connection means to its stream.
func insideStream(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the connection ended inside the stream: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// cutConn closes the socket first: a close of TLS would wait for the other side.
func (c *Conn) cutConn() {
	if c.wire != nil {
		_ = c.wire.Close()
	} else if below, ok := c.conn.(interface{ NetConn() net.Conn }); ok {
		_ = below.NetConn().Close()
	}
	_ = c.conn.Close()
}
