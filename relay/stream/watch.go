// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"net"
	"syscall"
)

// Sleeper is who waits for something to read.
type Sleeper interface {
	// Wake is called once, when there may be something to read or the connection has failed.
	// It must not block.
	Wake()
}

// Bed names a wait of a Watch. The zero Bed is none.
type Bed uint64

// ErrNoSocket: a connection has no socket that can be watched.
var ErrNoSocket = errors.New("the connection has no socket to watch")

// Watch waits on w for something to read on the connection that carries the stream. What arrived
// before is to be read first: see Drained.
func (s *Stream) Watch(w *Watch, who Sleeper) (Bed, error) {
	if s.c.wire == nil || s.c.wire.raw == nil {
		return 0, ErrNoSocket
	}
	return w.add(s.c.wire.raw, who)
}

// Add waits for something to read on a connection.
func (w *Watch) Add(conn net.Conn, who Sleeper) (Bed, error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0, ErrNoSocket
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	return w.add(raw, who)
}
