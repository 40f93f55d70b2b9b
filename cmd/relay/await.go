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
// reason harder to find. Until then the log, /readyz and the metrics tell of it, of what somebody must do if waiting
// alone does not mend it, and of a configuration file that cannot be used meanwhile. What only another release, database
// or configuration mends is returned, as is the end of ctx.
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
		remedy := postgres.Remedy(err)
		status.refused(err, remedy)
		again := pause + rand.N(pause/4)
		tell(ctx, log, err, remedy, again.Round(time.Millisecond))
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
		l.reread(log, nil)
		status.misconfigured(l.State().Error)
	}
}

// tell logs a refusal: as an error where somebody must act.
func tell(ctx context.Context, log *slog.Logger, err error, remedy string, again time.Duration) {
	if remedy == "" {
		log.WarnContext(ctx, "the database does not take us; the relay waits for it", "error", err, "next_attempt_in", again.String())
		return
	}
	log.ErrorContext(ctx, "the database refuses us, and waiting alone does not mend it; the relay waits until somebody does",
		"error", err, "remedy", remedy, "next_attempt_in", again.String())
}
