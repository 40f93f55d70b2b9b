// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"net"
	"syscall"
	"time"
)

// socketOf finds the socket under a connection; nil when there is none that we can
// see.
func socketOf(conn net.Conn) syscall.RawConn {
	for range 8 { // layers
		if c, ok := conn.(syscall.Conn); ok {
			if raw, err := c.SyscallConn(); err == nil {
				return raw
			}
		}
		under, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = under.NetConn()
	}
	return nil
}

// silence is how long the peer has been silent on the path. Bytes that TCP holds
// up until a loss is repaired are not silence: while the kernel still takes
// segments, time counts half. So a cut takes its time, a bad line raises no alarm,
// and a peer whose kernel lives on without its relay is found in twice the time.
// A segment alone proves nothing (whoever stands between could send it), which is
// why it never makes a path Up.
func (p *path) silence(now time.Time) time.Duration {
	silence := now.Sub(p.heard)
	if p.segment.After(p.heard) {
		silence = min(silence, max(now.Sub(p.segment), silence/2))
	}
	return silence
}

// stir takes what the link has heard on other connections of the path. Its clock
// may jump, so only that it differs counts.
func (p *path) stir(mark, now time.Time) {
	if !mark.Equal(p.mark) {
		p.mark = mark
		p.heard = now
	}
}

// feel takes what the kernel has heard on the heartbeat connections.
func (p *path) feel(now time.Time) {
	for l := range p.lines {
		if l.socket == nil {
			continue
		}
		if ago, ok := lastSegment(l.socket); ok && now.Add(-ago).After(p.segment) {
			p.segment = now.Add(-ago)
		}
	}
}

// late takes the time for which our own process did not run.
func (p *path) late(by time.Duration, now time.Time) {
	p.heard = p.heard.Add(by)
	if p.heard.After(now) {
		p.heard = now
	}
	if now.After(p.excused) {
		p.excuse = 0
	}
	p.excuse += by
	p.excused = now.Add(p.excuse + 2*p.roundTrip + 2*p.every())
}
