// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/postgres"
)

// firstPause and longestPause are between two attempts to open the store; each is up to a quarter longer by
// chance: replicas need not ask together.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 15 * time.Second
)

// opener opens a store.
type opener func(ctx context.Context, cfg config.Store) (store.Store, error)

// awaitStore opens the store of the configuration. A database that is away or refuses is waited for: it may need
// longer to start than we do, and ending the process would only make the pauses longer and the
// reason harder to find. Until then the log, /readyz and the metrics tell of it. What waiting does not
// mend is returned, as is the end of ctx.
func awaitStore(ctx context.Context, log *slog.Logger, l *live, status *health, open opener) (store.Store, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		db, err := open(ctx, l.config().Store)
		if err == nil {
			status.opened()
			return db, nil
		}
		if ctx.Err() != nil || !postgres.Passes(err) {
			return nil, err
		}
		status.refused(err)
		again := pause + rand.N(pause/4)
		log.WarnContext(ctx, "the database does not take us; the relay waits for it", "error", err, "next_attempt_in", again.Round(time.Millisecond).String())
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
		l.renew(log)
	}
}
