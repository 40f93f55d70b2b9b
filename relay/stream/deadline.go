// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"net"
	"time"
)

// SetDeadline sets both deadlines.
func (s *Stream) SetDeadline(t time.Time) error {
	return s.setDeadline(func(t time.Time) error {
		s.writeBy = t
		return s.c.conn.SetDeadline(t)
	}, t)
}

// SetReadDeadline bounds Read; a Read that timed out may be repeated.
func (s *Stream) SetReadDeadline(t time.Time) error {
	return s.setDeadline(s.c.conn.SetReadDeadline, t)
}

// SetWriteDeadline bounds Write; a Write that timed out ends the connection.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	return s.setDeadline(func(t time.Time) error {
		s.writeBy = t
		return s.c.conn.SetWriteDeadline(t)
	}, t)
}

func (s *Stream) setDeadline(set func(time.Time) error, t time.Time) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.closed.Load() {
		return net.ErrClosed
	}
	if s.c.stream != s {
		return nil // it has ended: the deadlines are those of another
	}
	s.c.deadlines = true
	return set(t)
}

// endLeft notes that the END of a stream has left. If the stream was taken off with it, its
// deadlines are undone; the next one may have set its own meanwhile.
func (c *Conn) endLeft(s *Stream, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.endLeft = true
	if !last || !c.deadlines || c.parting {
		return
	}
	var by time.Time
	if c.stream != nil {
		by = c.stream.writeBy
	} else {
		_ = c.conn.SetReadDeadline(by)
		c.deadlines = false
	}
	_ = c.conn.SetWriteDeadline(by)
}
