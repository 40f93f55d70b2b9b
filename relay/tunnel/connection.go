// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/socket"
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
	engine  *Engine
	service *service
	peer    *account
	remote  string // the peer's name of an imported service
	idle    time.Duration
	local   net.Conn
	stream  *stream.Stream

	counts *counts

	moved atomic.Int64 // bytes, both directions
	once  sync.Once    // of the cut
	left  atomic.Int32 // directions that have not ended
	// unbind ends the connection's being cut with the context of its stream; may be nil.
	unbind func() bool
	sleep  sleep
	limits limits

	// Of the sweep.
	seen    int64
	since   time.Time
	resting bool
}

// connect makes ready to pass bytes between a socket and a stream.
func (e *Engine) connect(s *service, peer *account, local net.Conn, over *stream.Stream, idleSeconds int32) *connection {
	c := &connection{
		engine: e, service: s, peer: peer, local: local, stream: over, idle: time.Duration(idleSeconds) * time.Second,
		counts: e.metrics.of(s, peer),
	}
	c.counts.opened.Inc()
	return c
}

// run passes bytes between the two until both directions have ended or one has failed,
// then gives back what the connection occupies. It returns before that: when the connection
// rests, or its first direction ends. first is what of the stream was read already.
func (e *Engine) run(c *connection, first []byte) {
	c.counts.open.Inc()
	allowed, crowd := e.track(c)
	if !allowed {
		c.cut()
		c.close()
		return
	}
	c.stream.AfterFail(c.cut)
	c.left.Store(2)
	if crowd {
		c.restSend()
	} else {
		go e.send(c)
	}
	e.deliver(c, first)
}

// close closes both sides and gives back what the connection occupies.
func (c *connection) close() {
	if c.unbind != nil {
		c.unbind()
	}
	_ = c.stream.Close()
	c.engine.over.Put(c.local)
	c.counts.open.Dec()
	c.release()
}

// release gives back what the connection occupies.
func (c *connection) release() { release(c.peer, c.service) }

// finish notes that one direction has ended; the second closes the connection.
func (e *Engine) finish(c *connection, err error) {
	if err != nil {
		c.cut()
	}
	if c.left.Add(-1) > 0 {
		return
	}
	c.close()
	e.untrack(c)
}

// send passes on what comes from the local side, and its end.
func (e *Engine) send(c *connection) {
	_, err := c.stream.SendFrom(c.local, c.meterOut)
	if c.called(err) && c.local.SetReadDeadline(time.Time{}) == nil {
		c.restSend()
		return
	}
	e.finish(c, err)
}

// deliver passes on what comes from the peer, and its end. The caller's goroutine then
// reads on: see Stream.ReadOn.
func (e *Engine) deliver(c *connection, first []byte) {
	err := c.deliverFirst(first)
	if err == nil {
		_, err = c.stream.DeliverAll(c.local, c.meterIn)
	}
	if c.called(err) && c.stream.SetReadDeadline(time.Time{}) == nil {
		if c.stream.Drained() {
			c.restDeliver()
		} else {
			go e.deliverOn(c)
		}
		return
	}
	if w, ok := c.local.(interface{ CloseWrite() error }); ok && err == nil {
		if err = w.CloseWrite(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	e.finish(c, err)
}

// deliverOn is deliver on a goroutine of its own.
func (e *Engine) deliverOn(c *connection) {
	e.deliver(c, nil)
	c.stream.ReadOn()
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
	c.counts.in.Add(float64(n))
	return take(&c.limits, &c.peer.in, n)
}

func (c *connection) meterOut(n int) error {
	c.moved.Add(int64(n))
	c.counts.out.Add(float64(n))
	return take(&c.limits, &c.peer.out, n)
}

// cut ends both sides at once: who is there sees a reset, not an end.
func (c *connection) cut() {
	c.once.Do(func() {
		c.limits.end()
		socket.Reset(c.local)
		c.stream.Abort()
	})
	c.rouse()
}
