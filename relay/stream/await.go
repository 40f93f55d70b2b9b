// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"net"
	"syscall"
)

// Await returns when there may be something to read from a connection, its read
// deadline has passed or it has failed; at once where it cannot tell. Unlike a read it
// needs no more than the smallest stack: a goroutine that only awaits costs 2 KiB.
func Await(conn net.Conn) {
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Read(readable) // who reads then sees the error
		}
	}
}

// Await is Await for the next frame. What arrived before is to be read first: see
// Drained.
func (s *Stream) Await() {
	if w := s.c.wire; w != nil && w.raw != nil {
		_ = w.raw.Read(readable)
	}
}

// Drained tells whether everything that has arrived was read, so that the next
// frame shows on the socket. Nobody else may be reading.
func (s *Stream) Drained() bool {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	w := s.c.wire
	if w == nil || w.raw == nil || s.acquire() != nil || s.c.remain > 0 {
		return false
	}
	w.empty = false // only the kernel knows
	if !errors.Is(s.next(true), wouldBlockError{}) {
		return false
	}
	shed(s.c.tls)
	return true
}
