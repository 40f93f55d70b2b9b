// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"context"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// maxAgain bounds the looks that are waited for, as the peer has a say in the number of a check; no slot is as long.
const maxAgain = 1000

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
		done := settled(seen, slot, now, s.look())
		l.round(ctx, s, slot, false, done)
	}
}

// settled are the paths over which nothing more is to be sent in a slot. Until the peer has answered once its
// Hotline may be yet to come, as both sides declare theirs: what it did not answer is sent again
// in the same slot, after as many looks as there were checks of the path, which soon is
// longer than a slot. It is pure.
func settled(seen []store.LineCheck, slot, now time.Time, look time.Duration) map[Way]bool {
	first := !slices.ContainsFunc(seen, func(c store.LineCheck) bool { return c.Direction == store.Out && !c.DoneAt.IsZero() })
	done := map[Way]bool{}
	for _, c := range seen {
		f := factsOf(c.Content)
		if c.Direction != store.Out || f.LastSlot.Before(slot) {
			continue
		}
		again := first && f.Failure != "" && now.Sub(c.At) >= time.Duration(min(c.Number, maxAgain))*look
		done[wayOf(c.Path)] = !again
	}
	return done
}
