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
// up until a loss is repaired, or that our own process has not got to read, are no
// silence: while the kernel still takes segments, time counts half, and the time for
// which we did not run not at all. So a cut takes its time, a bad line or a busy
// machine raises no alarm, and a peer whose kernel lives on without its relay is
// found in twice the time. A segment alone proves nothing (whoever stands between
// could send it), which is why it never makes a path Up.
func (p *path) silence(now time.Time) time.Duration {
	silence := now.Sub(p.heard)
	if silence < p.every() {
		return silence // the usual case
	}
	ours := silence - p.late.since(p.heard)
	if p.segment.IsZero() {
		return ours
	}
	return min(silence, max(now.Sub(p.segment), ours/2))
}

// unheardNow is the silence that the peer told last, less what our own process has
// to answer for.
func (p *path) unheardNow() time.Duration {
	if p.unheard < p.every() {
		return p.unheard
	}
	return p.unheard - p.late.since(p.told.Add(-p.unheard-p.roundTrip))
}

// stir takes what the link has heard on all connections of the path, ours among
// them. Its clock may jump: the first look of a silence compares it with the clock at
// our last beat, later ones only whether it has moved.
func (p *path) stir(mark, now time.Time) {
	again := p.looked.After(p.heard)
	moved := !mark.Equal(p.mark)
	p.looked, p.mark = now, mark
	if moved && (again || mark.Round(0).After(p.heard.Round(0))) {
		p.heard = now
	}
}

// kernel is what the kernel knows of a connection.
type kernel struct {
	// segment is how long ago it took a segment of the other end: out of order,
	// repeated or without data, too.
	segment time.Duration
	// waiting: something that we sent is not acknowledged; delivered counts the
	// segments that are.
	waiting   bool
	delivered uint32
}

// feel takes what the kernel knows of the heartbeat connections.
func (p *path) feel(now time.Time) {
	p.felt = now
	for l := range p.lines {
		if l.socket == nil {
			continue
		}
		k, ok := ask(l.socket)
		if !ok {
			continue
		}
		if at := now.Add(-k.segment); at.After(p.segment) {
			p.segment = at
		}
		if !k.waiting || k.delivered != l.delivered {
			l.delivered, p.acked = k.delivered, now
		}
	}
}

// stuck is how long nothing of ours was acknowledged on any connection, though the
// peer's segments arrive: when our direction alone is cut, its beats soon cease,
// because TCP sends only so much without acknowledgements.
func (p *path) stuck(now time.Time, l limits) time.Duration {
	if p.acked.IsZero() || now.Sub(p.segment) >= l.suspect || now.Sub(p.heard) < 2*p.every() {
		return 0
	}
	return now.Sub(p.acked)
}
