// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// maxAccepted bounds the paths on which one peer dials us, and forgotten is how
// long one that is Down is remembered.
const (
	maxAccepted = 8
	forgotten   = 10 * time.Minute
)

// Heartbeats serves a heartbeat connection that a peer opened, until it ends or
// the context does. It closes the connection.
func (p *Prober) Heartbeats(ctx context.Context, from access.Peer, id link.Path, facts report.TLS, conn net.Conn) {
	id.Accepted, id.TrustDomain = true, from.TrustDomain
	known, pt := p.accept(id)
	if pt == nil {
		conn.Close()
		return
	}
	l, ok := p.open(conn, known, pt, p.freeSlot(pt))
	if !ok {
		conn.Close()
		return
	}
	p.proven(known, facts)
	if err := p.run(ctx, l); errors.Is(err, errBeat) || errors.Is(err, errFlood) {
		p.cfg.Log.Warn("heartbeat connection of the peer closed", "peer", p.nameOf(known), "address", id.Address, "error", err)
	}
}

// accept finds the path that a peer dials, or adds it.
func (p *Prober) accept(id link.Path) (*peer, *path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.peers[id.TrustDomain]
	if known == nil || known.cfg.State == config.Revoked {
		return nil, nil
	}
	if pt := known.find(id); pt != nil {
		return known, pt
	}
	if !known.room() {
		return nil, nil
	}
	pt := newPath(id, known.cfg.Detection, &p.late, time.Now())
	known.add(pt)
	return known, pt
}

func (p *Prober) freeSlot(pt *path) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pt.slot()
}
