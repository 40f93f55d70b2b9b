// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What one peer may use of us.
const (
	// burst is how many bytes of sealed requests and answers there may be at once. How many on
	// average is config.Limits.TransitBytesPerSecond of the peer.
	burst = 4 * maxSealed
	// leastTaken is what a request that we take counts at least: its id is kept for a day, and
	// so how many there may be is bounded.
	leastTaken = 32 << 10
	// AtOnce is how many requests of one peer there may be at once, allAtOnce of all peers:
	// each may hold twice maxSealed bytes.
	AtOnce    = 4
	allAtOnce = 16
	// small is a request that may use all of that. Larger ones leave room for it: a FLASH
	// does not wait for the files of its own sender.
	small = 256 << 10
)

// quotas bound what peers use, each for itself.
type quotas struct {
	now func() time.Time

	mu      sync.Mutex // guards what follows
	running int
	peers   map[string]*quota // as many as there are peers with transit
}

type quota struct {
	bytes   *rate.Limiter
	running int
}

func newQuotas(now func() time.Time) *quotas {
	return &quotas{now: now, peers: map[string]*quota{}}
}

// enter admits a request of a peer that may use so many bytes a second, with a body of a size,
// negative for unknown; false when it has too many, or used too much.
func (q *quotas) enter(peer string, perSecond, size int64) (leave func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.peers[peer]
	if p == nil {
		p = &quota{bytes: rate.NewLimiter(rate.Limit(perSecond), burst)}
		q.peers[peer] = p
	}
	if limit := rate.Limit(perSecond); p.bytes.Limit() != limit {
		p.bytes.SetLimitAt(q.now(), limit)
	}
	atOnce, bytes := AtOnce, float64(small)
	if size < 0 || size > small {
		atOnce, bytes = AtOnce-1, 2*maxSealed
	}
	if p.running >= atOnce || q.running >= allAtOnce || p.bytes.TokensAt(q.now()) < bytes {
		return nil, false
	}
	p.running++
	q.running++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		p.running--
		q.running--
	}, true
}

// used charges bytes to a peer. Who was let in may use what it brought and gets.
func (q *quotas) used(peer string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.peers[peer]; p != nil {
		p.bytes.ReserveN(q.now(), min(n, burst))
	}
}
