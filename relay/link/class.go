// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// Class is a kind of traffic, named by its ALPN protocol (RFC 7301).
type Class string

// The classes. All but PlainFeed are framed: see package stream.
const (
	Hotline Class = "certlink-hotline/1"
	// Probe carries heartbeats and offers.
	Probe Class = "certlink-probe/1"
	// Feed is TAXII between two relays.
	Feed Class = "certlink-feed/1"
	// Tunnel carries CONNECT and then the bytes of a service.
	Tunnel Class = "certlink-tunnel/1"
	// PlainFeed is TAXII over plain HTTP/1.1, for clients of partners without
	// certlink. We serve it and never ask for it.
	PlainFeed Class = "http/1.1"
)

// Paths on the link port.
const (
	PathHotline   = "/certlink/v1/hotline/"
	PathHeartbeat = "/certlink/v1/heartbeat"
	// PathProbe takes a single beat.
	PathProbe = "/certlink/v1/probe"
	PathOffer = "/certlink/v1/offer"
	PathTAXII = "/taxii2/"
)

// maxHeaderBytes bounds the header of a request and of a response.
const maxHeaderBytes = 16 << 10

// maxSpare is the largest number of parked connections that we keep on a path in
// one class, when demand is high.
const maxSpare = 32

// maxAccepted is the number of paths by which one peer may reach us.
const maxAccepted = 8

// limits bound one class of traffic.
type limits struct {
	// prefixes of the paths that the class may ask for.
	prefixes []string
	// body is the largest request body in bytes.
	body int64
	// read and write bound one request and its response at the server, idle the
	// time between two of a plain connection.
	read, write, idle time.Duration
	// held is how many connections there may be with one peer, whoever dialled.
	held int
	// spare is how many parked connections we keep on each path that we dial.
	spare int
	// answer is how long we wait for a response to begin. Where another path is
	// left, a request that nobody hedges goes there after patience.
	answer, patience time.Duration
}

var classes = map[Class]limits{
	Hotline: {
		prefixes: []string{PathHotline}, body: 5 << 20,
		read: 30 * time.Second, write: 60 * time.Second,
		held: 32, spare: 1, answer: 30 * time.Second,
	},
	Probe: {
		prefixes: []string{PathHeartbeat, PathOffer, PathProbe}, body: 128 << 10,
		read: 10 * time.Second, write: 20 * time.Second,
		held: 128, spare: 1, answer: 20 * time.Second,
	},
	Feed: {
		prefixes: []string{PathTAXII}, body: 1 << 20,
		read: 30 * time.Second, write: 5 * time.Minute,
		held: 32, spare: 1, answer: time.Minute, patience: 10 * time.Second,
	},
	Tunnel: {
		// Beside the streams that Limits.TunnelConnections allows: see held.
		held: 2 * maxSpare, spare: 2, answer: 10 * time.Second,
	},
	PlainFeed: {
		prefixes: []string{PathTAXII}, body: 1 << 20,
		read: 30 * time.Second, write: 5 * time.Minute, idle: 3 * time.Minute,
		held: 32,
	},
}

// short is the name of the class for metrics.
func (c Class) short() string {
	return strings.TrimSuffix(strings.TrimPrefix(string(c), "certlink-"), "/1")
}

// allows tells whether the class may ask for a path.
func (l limits) allows(path string) bool {
	return slices.ContainsFunc(l.prefixes, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// held is how many connections of a class there may be with a peer, whoever dialled.
func held(peer config.Peer, class Class) int {
	n := classes[class].held
	if class == Tunnel {
		n += tunnels(peer)
	}
	return n
}

// tunnels is how many tunnelled connections a peer may have at once.
func tunnels(peer config.Peer) int {
	if peer.Limits.TunnelConnections > 0 {
		return int(peer.Limits.TunnelConnections)
	}
	return config.DefaultConnections
}

// spare is how many parked connections to keep on a path to a peer, without
// regard to demand.
func spare(peer config.Peer, class Class) int {
	if class == Tunnel && peer.State != config.Active {
		return 0
	}
	return classes[class].spare
}

// protocols in the order of preference.
var protocols = []string{string(Hotline), string(Probe), string(Feed), string(Tunnel), string(PlainFeed)}

// framed are the classes whose connections carry one stream after another.
var framed = []Class{Hotline, Probe, Feed, Tunnel}
