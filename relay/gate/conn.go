// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// Conn is an authenticated connection.
type Conn struct {
	*tls.Conn
	// State of the finished handshake.
	State tls.ConnectionState
	// Client is who is at the other end.
	Client string

	once   sync.Once
	closed func()
}

// Close ends the connection, once.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	if c.closed != nil {
		c.once.Do(c.closed)
	}
	return err
}

// Cut ends the connection without waiting for the other end to read anything.
func (c *Conn) Cut() {
	c.NetConn().Close() // first: a TLS close would wait for the other end to read
	c.Close()
}

// class is the net.Listener of one protocol.
type class struct {
	addr  net.Addr
	conns chan *Conn
	done  chan struct{}
	once  sync.Once
}

func newClass(addr net.Addr) *class {
	return &class{addr: addr, conns: make(chan *Conn), done: make(chan struct{})}
}

func (c *class) put(ctx context.Context, conn *Conn) bool {
	select {
	case c.conns <- conn:
		return true
	case <-c.done:
	case <-ctx.Done():
	}
	return false
}

// Accept waits for the next connection.
func (c *class) Accept() (net.Conn, error) {
	select {
	case conn := <-c.conns:
		return conn, nil
	case <-c.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (c *class) Close() error {
	c.once.Do(func() { close(c.done) })
	return nil
}

// Addr is that of the TCP listener.
func (c *class) Addr() net.Addr { return c.addr }
