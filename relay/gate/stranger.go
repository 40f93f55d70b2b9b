// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// maxHandshakeBytes is how much of a handshake is read. A chain of eight certificates of RSA 4096 takes half of it. TLS itself
// would keep up to 256 KiB for each of them who does not end a chain.
const maxHandshakeBytes = 32 << 10

// errLong: a handshake goes on beyond that.
var errLong = errors.New("the handshake has more than 32 KiB: the other end shows too long a chain of certificates, or is no relay")

// stranger is a connection in its handshake.
type stranger struct {
	net.Conn
	left int // bytes that may be read, or unbounded
}

// unbounded is how much may be read once the other end is known.
const unbounded = -1

// Read implements net.Conn.
func (s *stranger) Read(p []byte) (int, error) {
	switch s.left {
	case unbounded:
		return s.Conn.Read(p)
	case 0:
		return 0, errLong
	}
	n, err := s.Conn.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// NetConn returns the connection below, for who asks about it.
func (s *stranger) NetConn() net.Conn { return s.Conn }

const (
	// reserved is which part of all places strangers leave to others: a quarter.
	reserved = 4
	// lately is how long a source is known after the last handshake that was finished from there.
	lately = 24 * time.Hour
	// maxKnown is how many are known. The one that was longest away is forgotten first.
	maxKnown = 1024
)

// acquaintances are the sources from which handshakes were finished, and when the last one was.
type acquaintances map[netip.Prefix]time.Time

func (a acquaintances) has(source netip.Prefix, now time.Time) bool {
	last, ok := a[source]
	return ok && now.Sub(last) < lately
}

func (a acquaintances) add(source netip.Prefix, now time.Time) {
	if _, ok := a[source]; !ok && len(a) >= maxKnown {
		oldest := source
		for s, last := range a {
			if oldest == source || last.Before(a[oldest]) {
				oldest = s
			}
		}
		delete(a, oldest)
	}
	a[source] = now
}
