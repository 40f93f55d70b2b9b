// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// One goroutine at a time reads a connection: the reader of the stream between
// ACCEPT and END; the loop while the connection is parked, while our own stream
// waits for ACCEPT, while a closed stream waits for the other side's END, and
// after that END.

// loop reads until it hands the reading over for good or the connection ends. What it hands
// the reading to on this goroutine may give it back.
func (c *Conn) loop() {
	for again := true; again; {
		c.settle()
		shed(c.tls)
		again = c.loopOn()
	}
}

// loopOn reads until it hands the reading over, and then tells whether it came back.
func (c *Conn) loopOn() (again bool) {
	for {
		act, s, err := c.step(false)
		if isTimeout(err) {
			err = c.loopTimeout()
			if errors.Is(err, errHanded) {
				return false
			}
		}
		if err == nil {
			err = c.loopAction(act, s)
		}
		switch {
		case err == nil:
		case errors.Is(err, errHanded):
			return s.takeBack()
		default:
			c.end(err)
			return false
		}
	}
}

// errHanded: somebody else reads from now on.
var errHanded = errors.New("the reading was handed over")

// end ends the connection for what was seen while reading.
func (c *Conn) end(err error) {
	c.mu.Lock()
	parting := c.parting
	c.mu.Unlock()
	switch {
	case parting:
		c.fail(ErrClosed, true)
	case errors.Is(err, io.EOF), errors.Is(err, errPeerEnded):
		c.fail(err, true)
	default:
		c.fail(err, false)
	}
}

// errPeerEnded: the other side ended a parked connection.
var errPeerEnded = fmt.Errorf("%w: the other side closed it", ErrClosed)

// loopTimeout is what a deadline means to the loop: it was set by the reader of a
// stream, which then reads itself, or it bounds the wait after a close.
func (c *Conn) loopTimeout() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stream
	switch {
	case c.parting:
		return ErrClosed
	case s == nil || s.gotEnd:
		return c.conn.SetReadDeadline(time.Time{}) // nobody waits for this stream any more
	case s.closed.Load():
		return fmt.Errorf("the other side did not end a closed stream within %s", lingerTimeout)
	}
	s.handLocked()
	if f := s.thenLocked(); f != nil {
		go s.carry(f)
	}
	return errHanded
}

// loopAction does what a frame asks of the loop.
func (c *Conn) loopAction(act action, s *Stream) error {
	switch act {
	case actTheirs, actYield:
		if s == nil {
			return c.refuse()
		}
		c.serve(s)
		return errHanded
	case actAccepted:
		return c.accepted(s)
	case actData:
		c.abort()
		return errors.New("data arrived for a stream that was closed here")
	case actEnd:
		c.settle()
	case actRefused:
		return ErrRefused
	case actAborted:
		return ErrAborted
	case actEnded:
		return errPeerEnded
	case actRenew:
		c.renew()
	}
	return nil
}

// accepted hands the reading to who waits for a stream of ours that was taken.
func (c *Conn) accepted(s *Stream) error {
	c.mu.Lock()
	if s.closed.Load() {
		c.mu.Unlock()
		return nil // it waits for END only
	}
	s.handLocked()
	f := s.thenLocked()
	c.mu.Unlock()
	if f != nil {
		f()
	}
	return errHanded
}

// serve lets a stream of the other side be handled, by this goroutine.
func (c *Conn) serve(s *Stream) {
	c.handle.Lock()   // Parked is told before Taken
	c.handle.Unlock() //nolint:staticcheck // only to wait
	if c.cfg.Taken != nil {
		c.cfg.Taken(c)
	}
	c.cfg.Accept(s)
}

// refuse answers an OPEN that is not taken, and waits for the other side to close.
func (c *Conn) refuse() error {
	c.part()
	for {
		c.skip = maxFrame
		if err := c.skipPayload(false); err != nil {
			return ErrClosed
		}
	}
}

// abort tells the other side that the stream failed; the connection is to be ended.
func (c *Conn) abort() {
	_ = c.conn.SetWriteDeadline(time.Now().Add(partingTimeout))
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_ = c.emitKind(kindAbort)
}

// step reads one header and moves the state on. The stream is the one that the
// frame is about; for actTheirs and actYield the new one, nil if it is refused.
func (c *Conn) step(eager bool) (action, *Stream, error) {
	k, n, err := c.readHeader(eager)
	if err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	s := c.stream
	act, err := decide(c.stateLocked(), c.dialed, k)
	if err != nil {
		return 0, nil, err
	}
	switch act {
	case actYield:
		s.failLocked(ErrGlare)
		c.resetDeadlinesLocked()
		s = c.theirsLocked()
	case actTheirs:
		s = c.theirsLocked()
	case actIgnore:
		s.ignoring = true
	case actAccepted:
		s.accepted = true
	case actSkip:
		c.skip = n
	case actData:
		c.remain = n
	case actEnd:
		s.gotEnd = true
	}
	return act, s, nil
}

func (c *Conn) theirsLocked() *Stream {
	c.stream = nil
	if c.draining || c.cfg.Accept == nil {
		return nil
	}
	c.stream = newStream(c, false)
	c.stream.handLocked()
	return c.stream
}

func (c *Conn) stateLocked() state {
	s := c.stream
	switch {
	case s == nil:
		return parked
	case s.gotEnd:
		return half
	case !s.ours || s.accepted:
		return taken
	case s.ignoring:
		return ignoring
	case s.begun:
		return opened
	}
	return unsent
}

// A stream that has ended in both directions is taken off by who ends the second:
// if that is us, by admit, before our END leaves; if it is the other side, by
// settle. Both look under mu, so it is one of them.

// settle takes off a stream whose END had left, or was leaving, when that of the
// other side came.
func (c *Conn) settle() {
	c.mu.Lock()
	s := c.stream
	ended := s != nil && s.gotEnd && s.ending
	c.mu.Unlock()
	if !ended {
		return
	}
	c.wmu.Lock() // until END has left
	c.mu.Lock()
	ended = c.stream == s
	if ended {
		c.stream = nil
		c.resetDeadlinesLocked()
	}
	c.mu.Unlock()
	c.wmu.Unlock()
	if ended {
		c.park()
	}
}

func (c *Conn) resetDeadlinesLocked() {
	if c.deadlines && !c.parting {
		c.deadlines = false
		_ = c.conn.SetDeadline(time.Time{})
	}
}

// readHeader reads a header, after what is left of a payload that nobody wants.
// It can be called again after a timeout.
func (c *Conn) readHeader(eager bool) (kind, int, error) {
	if eager || c.wire == nil || c.wire.raw == nil || !canReadFD {
		return c.readHeaderPart(eager)
	}
	if err := c.wire.wait(c.try); err != nil {
		return 0, 0, err
	}
	return c.seen.kind, c.seen.n, c.seen.err
}

// tryHeader is readHeader for wire.wait.
func (c *Conn) tryHeader() bool {
	c.seen.kind, c.seen.n, c.seen.err = c.readHeaderPart(true)
	return !errors.Is(c.seen.err, wouldBlockError{})
}

// readHeaderPart reads as much of a header as it can.
func (c *Conn) readHeaderPart(eager bool) (kind, int, error) {
	if c.skip > 0 {
		if err := c.skipPayload(eager); err != nil {
			return 0, 0, err
		}
	}
	for c.headerN < headerSize {
		n, err := c.read(c.header[c.headerN:], eager)
		c.headerN += n
		if err != nil {
			return 0, 0, err
		}
	}
	c.headerN = 0
	return parseHeader(c.header)
}

func (c *Conn) skipPayload(eager bool) error {
	buf := getFrame()
	defer putFrame(buf)
	for c.skip > 0 {
		n, err := c.read(buf[:min(c.skip, len(buf))], eager)
		c.skip -= n
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads some bytes. An eager read does not wait. It returns an error or
// bytes, never both: errors of TLS stay.
func (c *Conn) read(p []byte, eager bool) (int, error) {
	if c.wire == nil {
		if eager {
			return 0, wouldBlockError{}
		}
		n, err := c.conn.Read(p)
		if n > 0 && c.cfg.Heard != nil {
			c.cfg.Heard.Store(time.Now().UnixNano())
		}
		return some(n, err)
	}
	c.wire.eager = eager
	return some(c.conn.Read(p))
}

func some(n int, err error) (int, error) {
	if n > 0 {
		return n, nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return 0, err
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error) //nolint:errorlint // as crypto/tls and net return it
	return ok && t.Timeout()
}
