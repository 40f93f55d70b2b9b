// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// account is what a peer uses.
type account struct {
	name string
	open atomic.Int64
	// in and out bound the bytes from and to the peer; nil means no limit.
	in, out atomic.Pointer[rate.Limiter]
}

// leastBurst lets one whole buffer through at once.
const leastBurst = 128 << 10

// setRate sets the bandwidth in bytes for each second and direction; zero means no
// limit. Connections that are open follow with their next bytes.
func (a *account) setRate(perSecond int64) {
	for _, l := range []*atomic.Pointer[rate.Limiter]{&a.in, &a.out} {
		switch now := l.Load(); {
		case perSecond == 0:
			l.Store(nil)
		case now == nil:
			l.Store(rate.NewLimiter(rate.Limit(perSecond), burst(perSecond)))
		case now.Limit() != rate.Limit(perSecond):
			now.SetLimit(rate.Limit(perSecond))
			now.SetBurst(burst(perSecond))
		}
	}
}

// burst is a tenth of a second's bytes, but a buffer at least.
func burst(perSecond int64) int { return int(max(perSecond/10, leastBurst)) }

// limits is where a connection waits for limiters, until it is cut. Most never do.
type limits struct {
	mu     sync.Mutex // guards what follows
	over   bool
	ctx    context.Context // nil before the first wait
	cancel context.CancelFunc
}

// context ends when the connection is cut.
func (l *limits) context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		l.ctx, l.cancel = context.WithCancel(context.Background())
		if l.over {
			l.cancel()
		}
	}
	return l.ctx
}

// end ends all waits, those to come too.
func (l *limits) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over = true; l.cancel != nil {
		l.cancel()
	}
}

// take waits until n bytes may pass. Without a limit it costs one load.
func take(waits *limits, l *atomic.Pointer[rate.Limiter], n int) error {
	limiter := l.Load()
	if limiter == nil {
		return nil
	}
	return limiter.WaitN(waits.context(), n)
}

// service is a service that we export or import.
type service struct {
	name     string
	imported bool
	open     atomic.Int64
	refused  atomic.Int64
	problem  atomic.Pointer[problem] // nil if there is none
	counts   sync.Map                // *account to *counts
}

// problem is what a person should know of a service, and since when it was said.
type problem struct {
	text  string
	since time.Time
}

type serviceKey struct {
	name     string
	imported bool
}

// occupy counts a connection of a peer to a service if both limits allow one more.
func occupy(p *peerRow, s *service, limit int32) *refusal {
	if p.account.open.Add(1) > int64(p.Limits.TunnelConnections) {
		p.account.open.Add(-1)
		return refusePeerLimit
	}
	if s.open.Add(1) > int64(limit) {
		release(p.account, s)
		return refuseServiceLimit
	}
	return nil
}

// release undoes occupy.
func release(a *account, s *service) {
	a.open.Add(-1)
	s.open.Add(-1)
}

// steps rounds down to 0, 1, 10, 100 and so on, so that a report changes rarely.
func steps(n int64) int64 {
	if n < 1 {
		return 0
	}
	step := int64(1)
	for n/10 >= step {
		step *= 10
	}
	return step
}
