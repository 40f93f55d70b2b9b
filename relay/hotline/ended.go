// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"time"
)

const (
	// endedFor is how long drafts, escalations and notices are kept after their end: over a year, so that
	// who reviews a year finds all of it.
	endedFor = 400 * 24 * time.Hour
	// forgetEvery is how often what is older goes, and forgetPause the rest between two
	// transactions, in which others take their turns.
	forgetEvery = 24 * time.Hour
	forgetPause = time.Second
	// forgottenAtOnce is how many rows of a kind one transaction deletes.
	forgottenAtOnce = 200
)

// forgetDaily lets go of what ended long ago, until ctx ends; only the holder of the line's
// lease does. Each part is one transaction: a crash leaves the rest for the next day.
func (l *line) forgetDaily(ctx context.Context) {
	repeatedly(ctx, func() time.Duration {
		if err := l.forgetEnded(ctx); err != nil && ctx.Err() == nil {
			l.engine.cfg.Log.ErrorContext(ctx, "what ended long ago could not be let go of; it is tried again tomorrow", "peer", l.trustDomain, "error", oneLine(err.Error()))
		}
		return forgetEvery
	})
}

func (l *line) forgetEnded(ctx context.Context) error {
	before := l.engine.cfg.Now().Add(-endedFor)
	for {
		gone, err := l.engine.cfg.Store.ForgetEnded(ctx, l.trustDomain, before, forgottenAtOnce)
		if err != nil {
			return err
		}
		if gone < forgottenAtOnce || !rest(ctx, forgetPause) {
			return ctx.Err()
		}
	}
}
