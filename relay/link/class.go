// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import "time"

// Class is a kind of traffic, named by its ALPN protocol.
type Class string

// The classes.
const (
	Hotline Class = "certlink-hotline/1"
	Probe   Class = "certlink-probe/1"
	// Feed is TAXII; "http/1.1" lets any TAXII client in.
	Feed Class = "http/1.1"
)

// Paths on the link port.
const (
	PathHotline = "/certlink/v1/hotline/"
	PathProbe   = "/certlink/v1/probe"
	PathTAXII   = "/taxii2/"
)

// maxHeaderBytes bounds the header of a request and of a response.
const maxHeaderBytes = 16 << 10

// limits bound one class of traffic.
type limits struct {
	// prefix of the paths that the class may ask for.
	prefix string
	// body is the largest request body in bytes.
	body int64
	// read and write bound one request and its response at the server, idle the
	// time between two.
	read, write, idle time.Duration
	// held is how many connections one peer may hold here.
	held int
	// pool is how many connections we keep to a path, answer how long we wait for
	// a response to begin.
	pool   int
	answer time.Duration
}

var classes = map[Class]limits{
	Hotline: {
		prefix: PathHotline, body: 256 << 10,
		read: 30 * time.Second, write: 60 * time.Second, idle: 3 * time.Minute,
		held: 16, pool: 2, answer: 30 * time.Second,
	},
	Probe: {
		prefix: PathProbe, body: 4 << 10,
		read: 10 * time.Second, write: 20 * time.Second, idle: 3 * time.Minute,
		held: 64, pool: 2, answer: 60 * time.Second,
	},
	Feed: {
		prefix: PathTAXII, body: 1 << 20,
		read: 30 * time.Second, write: 5 * time.Minute, idle: 3 * time.Minute,
		held: 32, pool: 4, answer: time.Minute,
	},
}

// protocols in the order of preference.
var protocols = []string{string(Hotline), string(Probe), string(Feed)}
