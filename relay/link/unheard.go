// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"net"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/gate"
)

// unheard finds tunnels whose sent bytes nobody acknowledges any more. The kernel
// could do it (TCP_USER_TIMEOUT), but would also end those whose reader takes its
// time: a download that is paused is no cut.
type unheard struct {
	socket syscall.RawConn // nil where there is none
	since  time.Time       // of tidy: bytes wait since then, zero if none do
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
// while no acknowledgement came.
func (u *unheard) over(now time.Time) bool {
	if u.socket == nil {
		return false
	}
	waiting, acked := gate.Unacknowledged(u.socket)
	return u.note(waiting, acked, now)
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
