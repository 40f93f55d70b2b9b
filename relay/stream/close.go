// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"net"
	"time"
)

// Close ends the stream. What was written before is delivered. If the other side
// has not ended its direction, it is given a while to do so in the background;
// what it sent and nobody read, or sends now, makes the stream fail over there and
// ends the connection. Close waits for a moment at most, for END to leave.
func (s *Stream) Close() error {
	c := s.c
	c.mu.Lock()
	if s.closed.Swap(true) {
		c.mu.Unlock()
		return net.ErrClosed
	}
	switch {
	case c.stream != s: // it has failed or ended
		c.mu.Unlock()
		return nil
	case s.ours && !s.begun:
		c.unopenLocked(s)
		return nil
	}
	c.deadlines = true
	_ = c.conn.SetWriteDeadline(time.Now().Add(closeWait))
	looping := !s.given || s.gotEnd
	switch {
	case s.gotEnd:
	case looping:
		_ = c.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	default:
		_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // calls the reader back
	}
	c.mu.Unlock()
	if c.wmu.TryLock() {
		c.wmu.Unlock()
		s.finish(looping)
	} else {
		go s.finish(looping)
	}
	return nil
}

// unopenLocked takes off a stream of which the other side knows nothing. It
// unlocks Conn.mu.
func (c *Conn) unopenLocked(s *Stream) {
	c.stream = nil
	c.resetDeadlinesLocked()
	looping := !s.given
	s.handLocked()
	c.mu.Unlock()
	c.park()
	if !looping {
		go c.loop()
	}
}

// finish sends END and lets somebody wait for that of the other side.
func (s *Stream) finish(looping bool) {
	_ = s.CloseWrite()
	if !looping {
		go s.linger()
	}
}

// linger takes the reading over from the stream's reader.
func (s *Stream) linger() {
	c := s.c
	s.rmu.Lock()
	c.mu.Lock()
	over := s.gotEnd || s.failed != nil || c.stream != s
	if !over {
		_ = c.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	}
	c.mu.Unlock()
	unread := !over && c.remain > 0
	s.rmu.Unlock()
	switch {
	case over:
	case unread:
		c.abort()
		c.end(ErrClosed)
	default:
		c.loop()
	}
}

// Abort ends the stream as failed, on both sides, and with it the connection.
func (s *Stream) Abort() {
	s.c.mu.Lock()
	s.closed.Store(true)
	s.c.mu.Unlock()
	s.c.failUnder(s, ErrClosed, false)
}

// AfterFail lets f be called, on a goroutine of its own, when the stream fails; at
// once if it has. It is not called for a stream that ends well. It replaces an
// earlier f.
func (s *Stream) AfterFail(f func()) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.onFail = f; s.failed != nil {
		go f()
	}
}
