// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/problem"
)

// largeAtOnce is how many requests of one peer are served at once whose body may be large: as many as it may have
// paths to us, as it may send one over all of them. A handler has a whole batch in memory, and several times that
// while it reads it.
const largeAtOnce = maxAccepted

// largeRequests are those that are served now, for each peer that ever had one: a channel by trust domain, with so many places.
type largeRequests struct{ places sync.Map }

// enter waits for a place, no longer than patience.
func (l *largeRequests) enter(ctx context.Context, trustDomain string, patience time.Duration) (leave func(), ok bool) {
	of, _ := l.places.LoadOrStore(trustDomain, make(chan struct{}, largeAtOnce))
	places := of.(chan struct{}) //nolint:errcheck,forcetypeassert // nothing else is stored
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case places <- struct{}{}:
		return func() { <-places }, true
	case <-ctx.Done():
	case <-timer.C:
	}
	return nil, false
}

// fewLarge lets requests of a peer wait while so many others of it, which are large as well, are served. What
// a request brings stays in the network meanwhile.
func fewLarge(l limits, next http.Handler) http.Handler {
	large := new(largeRequests)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength >= 0 && r.ContentLength <= shortBody {
			next.ServeHTTP(w, r)
			return
		}
		peer, _ := access.PeerFrom(r.Context())
		leave, ok := large.enter(r.Context(), peer.TrustDomain, l.read)
		if !ok {
			w.Header().Set("Retry-After", "1")
			problem.Write(w, http.StatusServiceUnavailable, "your other requests with large bodies have not ended: send fewer at once")
			return
		}
		defer leave()
		next.ServeHTTP(w, r)
	})
}
