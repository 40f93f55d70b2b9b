// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// A connection on which no byte has moved for a while rests: its two goroutines are
// called back by a deadline in the past and end, and a stream.Watch, which all of
// them share, starts another when something arrives. Whoever cuts the connection wakes both.

// The directions, as indices.
const (
	sending = iota
	delivering
)

// sleep is where the directions of a connection wait.
type sleep struct {
	mu   sync.Mutex // guards what follows
	beds [2]stream.Bed
	over bool // the connection was cut: nobody goes to sleep any more
}

// sender and deliverer are the two directions of a connection as those who sleep.
type (
	sender    connection
	deliverer connection
)

// Wake is stream.Sleeper.
func (s *sender) Wake() {
	c := (*connection)(s)
	c.sleep.leave(sending)
	go c.engine.send(c)
}

// Wake is stream.Sleeper.
func (d *deliverer) Wake() {
	c := (*connection)(d)
	c.sleep.leave(delivering)
	go c.engine.deliverOn(c)
}

func (s *sleep) leave(way int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beds[way] = 0
}

// errOver: a connection that was cut does not rest.
var errOver = errors.New("the connection was cut")

// enter lies down. Wake may come before it returns, but leaves after it.
func (s *sleep) enter(way int, lie func() (stream.Bed, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errOver
	}
	b, err := lie()
	s.beds[way] = b
	return err
}

// restSend lets nobody wait for the local side but the watch. Where that cannot be, a
// goroutine does, on a stack that has not grown while bytes were passed.
func (c *connection) restSend() {
	w := c.engine.watch.Load()
	if w == nil || c.sleep.enter(sending, func() (stream.Bed, error) { return w.Add(c.local, (*sender)(c)) }) != nil {
		go c.awaitSend()
	}
}

// restDeliver is restSend for what comes from the peer. All that arrived was read.
func (c *connection) restDeliver() {
	w := c.engine.watch.Load()
	if w == nil || c.sleep.enter(delivering, func() (stream.Bed, error) { return c.stream.Watch(w, (*deliverer)(c)) }) != nil {
		go c.awaitDeliver()
	}
}

func (c *connection) awaitSend() {
	stream.Await(c.local)
	go c.engine.send(c)
}

func (c *connection) awaitDeliver() {
	c.stream.Await()
	go c.engine.deliverOn(c)
}

// rest calls back the goroutines of a connection that has become idle.
func (c *connection) rest() {
	c.sleep.mu.Lock()
	asleep := c.sleep.beds
	c.sleep.mu.Unlock()
	if asleep[sending] == 0 {
		_ = c.local.SetReadDeadline(time.Unix(1, 0))
	}
	if asleep[delivering] == 0 {
		_ = c.stream.SetReadDeadline(time.Unix(1, 0))
	}
}

// called tells whether a direction was called back by rest: while the stream lives,
// no other deadline is set.
func (c *connection) called(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && c.stream.Err() == nil
}

// rouse wakes what sleeps of a connection that was cut: the kernel says nothing of a
// socket that we close ourselves.
func (c *connection) rouse() {
	c.sleep.mu.Lock()
	c.sleep.over = true
	beds := c.sleep.beds
	c.sleep.mu.Unlock()
	w := c.engine.watch.Load()
	if w == nil {
		return
	}
	for way, who := range [...]stream.Sleeper{sending: (*sender)(c), delivering: (*deliverer)(c)} {
		if beds[way] != 0 && w.Remove(beds[way]) {
			who.Wake()
		}
	}
}

// watchRests lets connections rest until the returned function is called. Where there is
// no watch, a goroutine waits on each direction.
func (e *Engine) watchRests() (stop func()) {
	if e.watch.Load() != nil {
		return func() {}
	}
	w, err := stream.NewWatch()
	if err != nil {
		if !errors.Is(err, errors.ErrUnsupported) {
			e.cfg.Log.Warn("connections at rest take more memory than they should", "error", err)
		}
		return func() {}
	}
	e.watch.Store(w)
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(); err != nil {
			e.cfg.Log.Error("watching connections at rest has ended; each takes goroutines from now on", "error", err)
		}
	})
	return func() {
		w.Close()
		running.Wait()
	}
}
