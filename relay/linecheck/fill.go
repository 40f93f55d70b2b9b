// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"context"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// fill sends, in each slot, the checks over paths that nobody has checked in it: those that
// came up since, and those that end at this replica and not at the one with the lease, which
// goes first. Two that fill at once check a path twice, which costs a check.
func (l *line) fill(ctx context.Context) {
	for {
		_, checks := l.settings()
		s := newSchedule(time.Duration(checks.IntervalSeconds)*time.Second, l.engine.cfg.Identity().TrustDomain(), l.trustDomain)
		if !sleep(ctx, s.look(), nil) {
			return
		}
		now := l.engine.cfg.Now()
		slot := s.slot(now)
		if now.Sub(slot) < s.first() {
			continue
		}
		seen, err := l.engine.cfg.Store.LatestLineChecks(ctx, l.trustDomain)
		if err != nil {
			continue // run tells
		}
		done := map[Way]bool{}
		for _, c := range seen {
			if c.Direction == store.Out && !factsOf(c.Content).LastSlot.Before(slot) {
				done[wayOf(c.Path)] = true
			}
		}
		l.round(ctx, s, slot, false, done)
	}
}
