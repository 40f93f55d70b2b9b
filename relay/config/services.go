// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import "strings"

// Bounds of tunnels and transit.
const (
	maxConnections   = 16_384
	maxIdleSeconds   = 604_800
	leastBytesSecond = 16_384

	leastTransitBytesSecond = 64 << 10
	mostTransitBytesSecond  = 1 << 30
)

func (l Limits) validate(f faults) {
	checkRange(f.in("tunnelConnections"), l.TunnelConnections, 1, maxConnections)
	checkRange(f.in("transitBytesPerSecond"), l.TransitBytesPerSecond, leastTransitBytesSecond, mostTransitBytesSecond)
	if n := l.TunnelBytesPerSecond; n != 0 && n < leastBytesSecond {
		f.in("tunnelBytesPerSecond").add("%d must be 0 (no limit) or at least %d", n, leastBytesSecond)
	}
}

// validateServices checks what is shared through tunnels.
func (c *Config) validateServices(f faults, peers *set) {
	names := newSet("service export")
	exports := f.in("serviceExports")
	checkCount(exports, len(c.ServiceExports), maxList)
	for i, e := range c.ServiceExports {
		at := exports.at(i)
		checkFeedName(at.in("name"), e.Name)
		names.add(at.in("name"), e.Name)
		checkAddress(at.in("target"), e.Target)
		validatePeerList(at.in("peers"), e.Peers, peers)
		checkRange(at.in("maxConnections"), e.MaxConnections, 1, maxConnections)
		checkRange(at.in("idleSeconds"), e.IdleSeconds, 1, maxIdleSeconds)
	}
	names, listens := newSet("service import"), newSet("listen address")
	listens.index[c.Listen.Link] = "listen.link"
	listens.index[c.Listen.Local] = "listen.local"
	listens.index[c.Listen.Health] = "listen.health"
	imports := f.in("serviceImports")
	checkCount(imports, len(c.ServiceImports), maxList)
	for i, m := range c.ServiceImports {
		at := imports.at(i)
		checkFeedName(at.in("name"), m.Name)
		names.add(at.in("name"), m.Name)
		checkPeer(at.in("peer"), m.Peer, peers)
		checkFeedName(at.in("service"), m.Service)
		checkListen(at.in("listen"), m.Listen)
		if !strings.HasSuffix(m.Listen, ":0") { // port 0 is another one for each
			listens.add(at.in("listen"), m.Listen)
		}
		checkRange(at.in("maxConnections"), m.MaxConnections, 1, maxConnections)
		checkRange(at.in("idleSeconds"), m.IdleSeconds, 1, maxIdleSeconds)
	}
}
