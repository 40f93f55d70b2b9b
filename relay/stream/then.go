// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

// A goroutine that hands work to another costs more than the work of a short stream: the
// runtime wakes a thread for it. So who reads a parked connection also carries its
// streams, theirs (Config.Accept) and ours (Then), and reads on when they have ended.

// Then lets f read a stream of ours, on the goroutine that reads the connection, when the
// other side has taken it; on another, if it fails before that or a read deadline passes, which the first
// read of f then finds unless the deadline was moved meanwhile. f is called once. It is set before
// anything is sent, and nobody else reads.
func (s *Stream) Then(f func()) {
	s.c.mu.Lock()
	if s.failed == nil {
		s.then = f
		f = nil
	}
	s.c.mu.Unlock()
	if f != nil {
		go s.carry(f)
	}
}

// carry lets f read on a goroutine of its own, which then reads on.
func (s *Stream) carry(f func()) {
	f()
	s.ReadOn()
}

// ReadOn reads the connection until another stream is carried elsewhere or it ends, if
// the caller's DeliverAll has read END. Who calls that calls this last, except inside of Accept or Then, which
// do so when they return.
func (s *Stream) ReadOn() {
	if s.takeBack() {
		s.c.loop()
	}
}

// takeBack tells whether the caller is to read on.
func (s *Stream) takeBack() bool { return s.back.CompareAndSwap(true, false) }

// thenLocked returns what reads now, once; nil if there is nothing. The caller holds
// Conn.mu.
func (s *Stream) thenLocked() func() {
	f := s.then
	s.then = nil
	return f
}
