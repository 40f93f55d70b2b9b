// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// closeWait is how long a close waits at most for END to leave, where nothing is in its way.
const closeWait = 250 * time.Millisecond

// errEnded: the caller has closed the direction itself.
var errEnded = fmt.Errorf("writing after CloseWrite: %w", io.ErrClosedPipe)

// Stream is one stream on a connection, a net.Conn that can end one direction.
// When both have ended the connection is free for the next.
type Stream struct {
	c      *Conn
	ours   bool
	closed atomic.Bool

	rmu    sync.Mutex     // one reader at a time
	handed sync.WaitGroup // ends when the reading is ours, and when the stream fails

	// Guarded by rmu.
	mine     bool // handed has ended
	answered bool // theirs: ACCEPT has left
	lent     bool // who reads at this moment reads on after END

	// back: END was read, and who has read it reads on. See ReadOn.
	back atomic.Bool

	// Guarded by Conn.mu.
	given    bool      // handed has ended
	begun    bool      // OPEN, or ACCEPT of theirs, has left or is leaving
	accepted bool      // ours: the other side sent ACCEPT
	ignoring bool      // ours: the other side's OPEN lost
	ending   bool      // our END has left or is leaving
	endLeft  bool      // it has left
	gotEnd   bool      // the other side sends no more
	failed   error     // why the stream ended before its end
	onFail   func()    // to be told of that
	then     func()    // ours: reads when the stream was taken, or has failed; see Then
	writeBy  time.Time // the write deadline
}

func newStream(c *Conn, ours bool) *Stream {
	s := &Stream{c: c, ours: ours}
	s.handed.Add(1)
	return s
}

// Conn returns the connection that carries the stream, or carried it.
func (s *Stream) Conn() *Conn { return s.c }

// LocalAddr is that of the connection.
func (s *Stream) LocalAddr() net.Addr { return s.c.conn.LocalAddr() }

// RemoteAddr is that of the connection.
func (s *Stream) RemoteAddr() net.Addr { return s.c.conn.RemoteAddr() }

// Err says why the stream failed; nil when it did not, or not yet.
func (s *Stream) Err() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.failed
}

// Read reads what the other side sent, and returns io.EOF after its END.
func (s *Stream) Read(p []byte) (int, error) {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.waitData(); err != nil {
		return 0, err
	}
	return s.readPayload(p, false)
}

// waitData returns when payload is to be read. The caller holds rmu.
func (s *Stream) waitData() error {
	if err := s.acquire(); err != nil {
		return err
	}
	for s.c.remain == 0 {
		if err := s.next(false); err != nil {
			return err
		}
	}
	return nil
}

// acquire returns when the reading is ours. The caller holds rmu.
func (s *Stream) acquire() error {
	if !s.mine {
		if s.ours {
			if err := s.begin(); err != nil {
				return err
			}
		}
		s.handed.Wait()
		s.mine = true
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.closed.Load():
		return net.ErrClosed
	case s.gotEnd:
		return io.EOF
	}
	return s.failed
}

// begin sees to it that OPEN or ACCEPT has left.
func (s *Stream) begin() error {
	s.c.mu.Lock()
	begun := s.begun || s.failed != nil || s.closed.Load()
	s.c.mu.Unlock()
	if begun {
		return nil
	}
	if err := s.send(getFrame(), 0, false); !errors.Is(err, errEnded) {
		return err
	}
	return nil // the writer was faster, and has ended
}

// next reads one frame. The caller holds rmu and the reading.
func (s *Stream) next(eager bool) error {
	if !eager && !s.ours && !s.answered {
		// Before we wait, the other side shall know that its stream was taken.
		err := s.next(true)
		if !errors.Is(err, wouldBlockError{}) {
			return err
		}
		if err := s.begin(); err != nil {
			return err
		}
		s.answered = true
	}
	act, subject, err := s.c.step(eager)
	if err != nil {
		return s.readFailed(err)
	}
	switch act {
	case actEnd:
		if s.lent {
			s.back.Store(true)
		} else {
			go s.c.loop()
		}
		return io.EOF
	case actYield:
		if subject == nil {
			go func() { s.c.end(s.c.refuse()) }()
		} else {
			go func() {
				s.c.serve(subject)
				subject.ReadOn()
			}()
		}
		return ErrGlare
	case actRefused:
		return s.readFailed(ErrRefused)
	case actAborted:
		return s.readFailed(ErrAborted)
	case actRenew:
		s.c.renew()
	}
	return nil
}

// readPayload reads from the payload of a frame. The caller holds rmu and the reading.
func (s *Stream) readPayload(p []byte, eager bool) (int, error) {
	n, err := s.c.read(p[:min(len(p), s.c.remain)], eager)
	s.c.remain -= n
	if err != nil {
		return n, s.readFailed(err)
	}
	return n, nil
}

// readFailed says what an error of reading means. All but timeouts end the connection.
func (s *Stream) readFailed(err error) error {
	switch {
	case errors.Is(err, wouldBlockError{}):
		return err
	case isTimeout(err):
		if s.closed.Load() {
			return net.ErrClosed
		}
		return err
	}
	s.c.end(err)
	if failed := s.Err(); failed != nil {
		err = failed
	}
	if s.closed.Load() {
		return net.ErrClosed
	}
	return err
}

// Write sends bytes. An error other than of a stream that the caller closed ends
// the connection, a timeout too.
func (s *Stream) Write(p []byte) (int, error) {
	var sent int
	for len(p) > 0 {
		buf := getFrame()
		n := copy(buf.payload(), p)
		if err := s.send(buf, n, false); err != nil {
			return sent, err
		}
		sent += n
		p = p[n:]
	}
	return sent, nil
}

// CloseWrite ends our direction.
func (s *Stream) CloseWrite() error {
	err := s.send(getFrame(), 0, true)
	if errors.Is(err, errEnded) {
		return nil
	}
	return err
}

// send writes n bytes of the buffer's payload, before them OPEN or ACCEPT if it
// has not left yet, after them END if asked for, and gives the buffer back.
func (s *Stream) send(buf *frameBuffer, n int, end bool) error {
	if !end {
		_, err := s.emit(buf, n, false)
		return err
	}
	s.c.handle.Lock()
	last, err := s.emit(buf, n, true)
	if last && err == nil {
		s.c.park()
	}
	s.c.handle.Unlock()
	return err
}

// emit is send without the parking; last tells that the connection is to be parked.
func (s *Stream) emit(buf *frameBuffer, n int, end bool) (last bool, err error) {
	c := s.c
	c.wmu.Lock()
	prefix, last, err := s.admit(end)
	if err != nil {
		c.wmu.Unlock()
		putFrame(buf)
		return false, err
	}
	err = c.emit(buf, lay(buf, prefix, n, end))
	if end {
		c.endLeft(s, last)
	}
	c.wmu.Unlock()
	if err != nil {
		err = s.writeFailed(err)
	}
	return last, err
}

// writeFailed ends the connection for an error of writing.
func (s *Stream) writeFailed(err error) error {
	s.c.fail(fmt.Errorf("sending: %w", err), false)
	if s.closed.Load() {
		return net.ErrClosed
	}
	if failed := s.Err(); failed != nil {
		return failed
	}
	return err
}

// admit checks that the stream may send, and returns what goes first: OPEN,
// ACCEPT or nothing (0). If it is the last that is sent, after the other side's
// END, the stream is taken off the connection here, and the caller parks it. The
// caller holds wmu.
func (s *Stream) admit(end bool) (prefix kind, last bool, err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.failed != nil:
		return 0, false, s.failed
	case s.closed.Load() && !end:
		return 0, false, net.ErrClosed
	case s.ending:
		return 0, false, errEnded
	}
	s.ending = end
	if end && s.gotEnd && c.stream == s {
		last = true
		c.stream = nil
	}
	if s.begun {
		return 0, last, nil
	}
	s.begun = true
	if s.ours {
		return kindOpen, last, nil
	}
	return kindAccept, last, nil
}

// failLocked ends the stream before its end. The caller holds Conn.mu.
func (s *Stream) failLocked(err error) {
	if s.failed == nil {
		s.failed = err
		if s.onFail != nil {
			go s.onFail()
		}
	}
	s.handLocked()
	if f := s.thenLocked(); f != nil {
		go s.carry(f)
	}
}

// handLocked lets the stream's reader go on. The caller holds Conn.mu.
func (s *Stream) handLocked() {
	if !s.given {
		s.given = true
		s.handed.Done()
	}
}
