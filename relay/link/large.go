// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/problem"
)

// largeAtOnce is how many requests of one peer are served at once whose body is as large as one may be. A handler has a
// whole batch in memory, and several times that while it reads it. Of smaller ones there are more, and no peer that does
// as we do waits: four lanes, of which those of FLASH send over all paths, and four chunks of files, all of about 1 MiB.
const largeAtOnce = 8

// largeRequests are those that are served now, for each peer that ever had one: a semaphore by trust domain, of bytes.
type largeRequests struct{ room sync.Map }

// enter waits for room for n of so many bytes, no longer than patience.
func (l *largeRequests) enter(ctx context.Context, trustDomain string, n, most int64, patience time.Duration) (leave func(), ok bool) {
	of, _ := l.room.LoadOrStore(trustDomain, semaphore.NewWeighted(most))
	room := of.(*semaphore.Weighted) //nolint:errcheck,forcetypeassert // nothing else is stored
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if room.Acquire(ctx, n) != nil {
		return nil, false
	}
	return func() { room.Release(n) }, true
}

// fewLarge lets requests of a peer wait while others of it, which are large as well, are served. What
// a request brings stays in the network meanwhile. One that does not say how large it is counts as the largest.
func fewLarge(l limits, next http.Handler) http.Handler {
	large := new(largeRequests)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := r.ContentLength
		if n >= 0 && n <= shortBody {
			next.ServeHTTP(w, r)
			return
		}
		if n < 0 || n > l.body {
			n = l.body
		}
		peer, _ := access.PeerFrom(r.Context())
		leave, ok := large.enter(r.Context(), peer.TrustDomain, n, largeAtOnce*l.body, l.read)
		if !ok {
			w.Header().Set("Retry-After", "1")
			problem.Write(w, http.StatusServiceUnavailable, "your other requests with large bodies have not ended: send fewer at once")
			return
		}
		defer leave()
		next.ServeHTTP(w, r)
	})
}
