// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"net"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/stream"
)

// unheard finds tunnels whose sent bytes nobody acknowledges any more. The kernel
// could do it (TCP_USER_TIMEOUT), but would also end those whose reader takes its
// time: a download that is paused is no cut.
type unheard struct {
	socket syscall.RawConn // nil where there is none

	// Of tidy.
	since  time.Time // bytes wait since then, zero if none do
	writes uint64    // what stream.Conn.Writes said before the kernel was last asked
	asked  bool
}

// watch takes the limit of the kernel off a connection for tunnels; tidy looks after
// it instead. It is called before the first frame.
func (c *conn) watch(on net.Conn) {
	if c.class != Tunnel {
		return
	}
	if socket := socketOf(on); socket != nil && gate.ClearUserTimeout(socket) == nil {
		c.unheard.socket = socket
	}
}

// socketOf finds the socket below a connection, or nil.
func socketOf(on net.Conn) syscall.RawConn {
	for range 8 { // layers
		if s, ok := on.(syscall.Conn); ok {
			if raw, err := s.SyscallConn(); err == nil {
				return raw
			}
		}
		under, ok := on.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		on = under.NetConn()
	}
	return nil
}

// over tells, asked every second or so, whether sent bytes have waited for too long
// while no acknowledgement came. The kernel is not asked about the many tunnels on which
// nothing was sent since it said that nothing waits.
func (u *unheard) over(on *stream.Conn, now time.Time) bool {
	if u.socket == nil || !u.maybe(on.Writes()) {
		return false
	}
	waiting, acked := gate.Unacknowledged(u.socket)
	return u.note(waiting, acked, now)
}

// maybe tells whether bytes may wait.
func (u *unheard) maybe(writes uint64) bool {
	still := u.asked && u.since.IsZero() && writes == u.writes && writes%2 == 0
	u.asked, u.writes = true, writes
	return !still
}

// note is over for what the kernel has said.
func (u *unheard) note(waiting bool, acked time.Duration, now time.Time) bool {
	switch {
	case !waiting:
		u.since = time.Time{}
	case u.since.IsZero() || acked < now.Sub(u.since):
		u.since = now
	}
	return waiting && now.Sub(u.since) >= gate.UserTimeout
}
