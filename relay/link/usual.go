// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"net/http"
	"time"
)

// longestUsual bounds what one slow answer counts for, so that a peer whose disk hung once does
// not keep the next path waiting for long.
const longestUsual = 2 * time.Second

// usual is how long the answers of a kind usually take, smoothed as round trips are in RFC 6298
// section 2: the network, and what the peer does before it answers, such as its fsync. The zero
// value knows nothing.
type usual struct{ mean, deviation time.Duration }

// add takes an answer into account.
func (u *usual) add(took time.Duration) {
	took = min(took, longestUsual)
	if u.mean == 0 {
		u.mean, u.deviation = took, took/2
		return
	}
	u.deviation += ((u.mean - took).Abs() - u.deviation) / 4
	u.mean += (took - u.mean) / 8
}

// late is when an answer is later than usual; zero when nothing is known.
func (u *usual) late() time.Duration { return u.mean + 4*u.deviation }

// sizes are those of requests whose answers are told apart: what is larger takes longer to
// carry, to check and to store.
const sizes = 3

// sizeOf is up to 8 KiB, up to 64 KiB, or above.
func sizeOf(req *http.Request) int {
	switch n := req.ContentLength; {
	case n <= 8<<10:
		return 0
	case n <= 64<<10:
		return 1
	default:
		return 2
	}
}

// answered notes how long an answer took over a path, if that is still there.
func (p *Pool) answered(at Path, size int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pr := p.peers[at.TrustDomain]; pr != nil && pr.paths[at] != nil {
		pr.paths[at].usual[size].add(took)
	}
}
