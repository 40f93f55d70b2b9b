// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/route"
)

// history remembers what worked, for the ranking of paths.
type history struct {
	mu   sync.Mutex
	seen map[string]map[string]past // trust domain, address
}

type past struct {
	down   bool
	worked time.Time
}

func newHistory() *history { return &history{seen: map[string]map[string]past{}} }

func (h *history) note(trustDomain, address string, up bool, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	paths := h.seen[trustDomain]
	if paths == nil {
		paths = map[string]past{}
		h.seen[trustDomain] = paths
	}
	p := paths[address]
	p.down = !up
	if up {
		p.worked = now
	}
	paths[address] = p
}

// paths returns the configured paths of a peer with what is known of them.
func (h *history) paths(peer config.Peer) []route.Path {
	h.mu.Lock()
	defer h.mu.Unlock()
	paths := make([]route.Path, len(peer.Endpoints))
	for i, e := range peer.Endpoints {
		p := h.seen[peer.TrustDomain][e.Address]
		paths[i] = route.Path{ID: e.Address, Priority: e.Priority, State: report.Unknown, LastWorked: p.worked}
		if p.down {
			paths[i].State = report.Down
		}
	}
	return paths
}

// keep forgets the trust domains that the condition does not name.
func (h *history) keep(condition func(trustDomain string) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for trustDomain := range h.seen {
		if !condition(trustDomain) {
			delete(h.seen, trustDomain)
		}
	}
}
