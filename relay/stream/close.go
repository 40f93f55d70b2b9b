// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"io"
	"net"
	"time"
)

// WriteLast sends bytes, and with the last of them the end of our direction, in one write.
func (s *Stream) WriteLast(p []byte) error {
	if more := len(p) - fullData; more > 0 {
		if _, err := s.Write(p[:more]); err != nil {
			return err
		}
		p = p[more:]
	}
	buf := getFrame()
	return s.send(buf, copy(buf.payload(), p), true)
}

// CloseAndReadOn is Close for the caller of ReadOn, or who returns from Accept or Then, which do the same: the caller
// itself waits for the END of the other side, as long as Close lets it take, and no goroutine takes its place. Nobody else
// may be reading.
func (s *Stream) CloseAndReadOn() error {
	err := s.CloseWrite()
	if err == nil {
		_ = s.SetReadDeadline(time.Now().Add(lingerTimeout))
		s.rmu.Lock()
		s.lent = true
		err = s.waitData()
		s.lent = false
		s.rmu.Unlock()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.Abort()
		return err
	}
	return s.Close() // it has ended, or something came after all
}

// Close ends the stream. What was written before is delivered. If the other side
// has not ended its direction, it is given a while to do so in the background;
// what it sent and nobody read, or sends now, makes the stream fail over there and
// ends the connection. Close waits for a moment at most, for END to leave; where earlier bytes
// are in its way, END leaves in the background, as long as the other side takes some.
func (s *Stream) Close() error {
	c := s.c
	c.mu.Lock()
	if s.closed.Swap(true) {
		c.mu.Unlock()
		return net.ErrClosed
	}
	switch {
	case c.stream != s, s.gotEnd && s.endLeft: // it has failed or ended; or who reads on is about to see that
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
	if c.takesEnd() {
		s.finish(looping)
	} else {
		go s.finishSlowly(looping)
	}
	return nil
}

// takesEnd tells whether END can leave at once. A stream that is closed writes nothing else,
// so that it stays true.
func (c *Conn) takesEnd() bool {
	if !c.wmu.TryLock() {
		return false
	}
	defer c.wmu.Unlock()
	return c.wire == nil || c.wire.raw == nil || hasRoom(c.wire.raw)
}

// stallWait is how long END waits, and what is written before it, while the other side
// acknowledges nothing: some round trips of a bad line. closeLimit is how long in all.
const (
	stallWait  = 2 * time.Second
	closeLimit = time.Minute
)

// finishSlowly is finish for END that cannot leave at once.
func (s *Stream) finishSlowly(looping bool) {
	left := make(chan struct{})
	go func() {
		defer close(left)
		s.finish(looping)
	}()
	begun, acked := time.Now(), s.c.acknowledged()
	moved := begun
	tick := time.NewTicker(stallWait / 8)
	defer tick.Stop()
	for now := begun; ; {
		s.allow(earlier(moved.Add(stallWait), begun.Add(closeLimit)), looping, now)
		select {
		case <-left:
			return
		case now = <-tick.C:
		}
		if a := s.c.acknowledged(); a != acked {
			acked, moved = a, now
		}
	}
}

// allow lets END take until a time, and that of the other side its time from now on.
func (s *Stream) allow(by time.Time, looping bool, now time.Time) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.endLeft || c.err != nil {
		return // the deadlines may be those of another stream
	}
	_ = c.conn.SetWriteDeadline(by)
	if looping && c.stream == s && !s.gotEnd {
		_ = c.conn.SetReadDeadline(now.Add(lingerTimeout))
	}
}

func (c *Conn) acknowledged() uint64 {
	if c.wire == nil || c.wire.raw == nil {
		return 0
	}
	return acknowledged(c.wire.raw)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
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
