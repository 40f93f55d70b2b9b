// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/stream"
)

// Why connections are cut, as the label of a counter.
const (
	cutIdle   = "idle"
	cutPolicy = "policy"
	cutEnd    = "shutdown"
)

// connection is one tunnelled connection: a local socket and a stream.
type connection struct {
	service *service
	peer    *account
	remote  string // the peer's name of an imported service
	idle    time.Duration
	local   net.Conn
	stream  *stream.Stream

	gauge   prometheus.Gauge
	in, out prometheus.Counter

	ctx    context.Context // ends with the connection; only for waits of limiters
	cancel context.CancelFunc

	moved atomic.Int64 // bytes, both directions
	once  sync.Once    // of the cut

	// Of the sweep.
	seen  int64
	since time.Time
}

// connect makes ready to pass bytes between a socket and a stream.
func (e *Engine) connect(s *service, peer *account, local net.Conn, over *stream.Stream, idleSeconds int32) *connection {
	kind := serviceKey{s.name, s.imported}.kind()
	c := &connection{
		service: s, peer: peer, local: local, stream: over, idle: time.Duration(idleSeconds) * time.Second,
		gauge: e.metrics.open.WithLabelValues(kind, s.name, peer.name),
		in:    e.metrics.bytes.WithLabelValues(kind, s.name, peer.name, "in"),
		out:   e.metrics.bytes.WithLabelValues(kind, s.name, peer.name, "out"),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	e.metrics.opened.WithLabelValues(kind, s.name, peer.name).Inc()
	return c
}

// run passes bytes until both directions have ended or one has failed, and gives
// back what the connection occupies. first is what of the stream was read already.
func (e *Engine) run(c *connection, first []byte) {
	c.gauge.Inc()
	if e.track(c) {
		c.stream.AfterFail(c.cut)
		delivered := make(chan struct{})
		go c.deliver(first, delivered)
		if _, err := c.stream.SendFrom(c.local, c.meterOut); err != nil {
			c.cut()
		}
		<-delivered
		e.untrack(c)
	} else {
		c.cut()
	}
	_ = c.stream.Close()
	_ = c.local.Close()
	c.gauge.Dec()
	c.release()
}

// release gives back what the connection occupies.
func (c *connection) release() {
	c.cancel()
	release(c.peer, c.service)
}

// deliver passes on what comes from the peer, and its end.
func (c *connection) deliver(first []byte, done chan<- struct{}) {
	defer close(done)
	err := c.deliverFirst(first)
	if err == nil {
		_, err = c.stream.DeliverTo(c.local, c.meterIn)
	}
	if w, ok := c.local.(interface{ CloseWrite() error }); ok && err == nil {
		if err = w.CloseWrite(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	if err != nil {
		c.cut()
	}
}

func (c *connection) deliverFirst(first []byte) error {
	if len(first) == 0 {
		return nil
	}
	if err := c.meterIn(len(first)); err != nil {
		return err
	}
	_, err := c.local.Write(first)
	return err
}

// meterIn and meterOut count a burst and hold it back as long as the limit asks.
func (c *connection) meterIn(n int) error {
	c.moved.Add(int64(n))
	c.in.Add(float64(n))
	return take(c.ctx, &c.peer.in, n)
}

func (c *connection) meterOut(n int) error {
	c.moved.Add(int64(n))
	c.out.Add(float64(n))
	return take(c.ctx, &c.peer.out, n)
}

// cut ends both sides at once: who is there sees a reset, not an end.
func (c *connection) cut() {
	c.once.Do(func() {
		c.cancel()
		reset(c.local)
		c.stream.Abort()
	})
}

// reset closes a socket so that the other end sees a failure.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
