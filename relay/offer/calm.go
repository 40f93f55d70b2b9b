// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"reflect"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// How often what a peer says may change the report: at once maxShown times, and then
// again each showEvery. Each change wakes our operator, who writes to the API server:
// a peer must not set the pace of that.
const (
	maxShown  = 30
	showEvery = 5 * time.Second
)

// shown is what the report has of what a peer says.
type shown struct {
	offer  *report.Offer
	trust  report.Trust // without what is in force, which is ours
	tokens float64
	filled time.Time
}

// calm puts back what the report had before, while what the peer says changes too
// often. The reporter looks again every few seconds, and so finds the last word.
func (p *peer) calm(r *report.Peer, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.shown
	s.tokens = min(maxShown, s.tokens+max(0, now.Sub(s.filled).Seconds())/showEvery.Seconds())
	s.filled = now
	said := report.Trust{}
	if r.Trust != nil {
		said = report.Trust{
			OfferedFingerprint: r.Trust.OfferedFingerprint, OfferedRoots: r.Trust.OfferedRoots, OfferedBundle: r.Trust.OfferedBundle, Error: r.Trust.Error,
		}
	}
	if sameOffer(s.offer, r.Offer) && reflect.DeepEqual(s.trust, said) {
		return
	}
	if s.offer == nil || r.Offer == nil || s.tokens >= 1 {
		s.offer, s.trust, s.tokens = r.Offer, said, max(0, s.tokens-1)
		return
	}
	before := *s.offer
	before.ReceivedAt = r.Offer.ReceivedAt
	r.Offer = &before
	if r.Trust != nil {
		r.Trust.OfferedFingerprint, r.Trust.OfferedRoots = s.trust.OfferedFingerprint, s.trust.OfferedRoots
		r.Trust.OfferedBundle, r.Trust.Error = s.trust.OfferedBundle, s.trust.Error
	}
}

// sameOffer compares but for the time.
func sameOffer(a, b *report.Offer) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.ReceivedAt, y.ReceivedAt = time.Time{}, time.Time{}
	return reflect.DeepEqual(x, y)
}
