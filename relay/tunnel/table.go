// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/certlink/certlink/relay/config"
)

// table is one configuration as tunnels see it. It is replaced, never changed; the
// accounts and services that it points to live on.
type table struct {
	peers   map[string]*peerRow // by name
	exports map[string]*exportRow
	imports map[string]*importRow
}

type peerRow struct {
	config.Peer
	account *account
}

type exportRow struct {
	config.ServiceExport
	service *service
}

type importRow struct {
	config.ServiceImport
	service *service
}

// refusal is why a peer does not get a connection.
type refusal struct {
	status int
	// label is for our own counters, text for the peer.
	label, text string
}

// What is unknown and what is not for the peer look the same from outside.
const notShared = "no such service is shared with you"

var (
	refuseUnknown      = &refusal{http.StatusForbidden, "unknown", notShared}
	refuseForeign      = &refusal{http.StatusForbidden, "not_for_peer", notShared}
	refuseSuspended    = &refusal{http.StatusForbidden, "suspended", "the link is suspended by this side"}
	refuseDrained      = &refusal{http.StatusServiceUnavailable, "drained", "the link is being drained by this side"}
	refuseServiceLimit = &refusal{http.StatusServiceUnavailable, "service_limit", "the service has all the connections that it may have"}
	refusePeerLimit    = &refusal{http.StatusServiceUnavailable, "peer_limit", "you have all the connections that you may have"}
	refuseHead         = &refusal{http.StatusBadRequest, "bad_request", "this is no CONNECT that we understand"}
	refuseTarget       = &refusal{http.StatusBadGateway, "target", "the service does not answer this side's relay"}
)

// mayNot says why a peer may open no new connections, nil if it may.
func mayNot(state config.PeerState) *refusal {
	switch state {
	case config.Active:
		return nil
	case config.Drained:
		return refuseDrained
	default:
		return refuseSuspended
	}
}

// export decides whether a peer may have a connection to a service of ours.
func (t *table) export(peer, name string) (*exportRow, *peerRow, *refusal) {
	p, known := t.peers[peer]
	if !known {
		return nil, nil, refuseUnknown
	}
	x, known := t.exports[name]
	switch {
	case !known:
		return nil, p, refuseUnknown
	case !slices.Contains(x.Peers, peer):
		return x, p, refuseForeign
	}
	return x, p, mayNot(p.State)
}

// keeps tells whether a connection that is open may stay open.
func (t *table) keeps(c *connection) bool {
	p, known := t.peers[c.peer.name]
	if !known || p.State != config.Active && p.State != config.Drained {
		return false
	}
	if c.service.imported {
		m, known := t.imports[c.service.name]
		return known && m.Peer == p.Name && m.Service == c.remote
	}
	x, known := t.exports[c.service.name]
	return known && slices.Contains(x.Peers, p.Name)
}

// newTable reads a configuration. What it keeps of the engine it finds by name.
func (e *Engine) newTable(cfg *config.Config) *table {
	t := &table{peers: map[string]*peerRow{}, exports: map[string]*exportRow{}, imports: map[string]*importRow{}}
	for _, p := range cfg.Peers {
		if p.State == "" {
			p.State = config.Active
		}
		a := e.accounts[p.Name]
		if a == nil {
			a = &account{name: p.Name}
			e.accounts[p.Name] = a
		}
		a.setRate(p.Limits.TunnelBytesPerSecond)
		t.peers[p.Name] = &peerRow{p, a}
	}
	for _, x := range cfg.ServiceExports {
		t.exports[x.Name] = &exportRow{x, e.service(serviceKey{x.Name, false})}
	}
	for _, m := range cfg.ServiceImports {
		t.imports[m.Name] = &importRow{m, e.service(serviceKey{m.Name, true})}
	}
	return t
}

// say puts a sentence about one of the sides into words for a person.
func say(format string, args ...any) string { return fmt.Sprintf(format, args...) }
