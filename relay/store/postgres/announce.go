// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// channel is where replicas tell each other what there is to do.
const channel = "certlink"

// announce tells all replicas of a change, once it is committed.
func announce(ctx context.Context, tx pgx.Tx, topic string) error {
	_, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", channel, topic)
	return err
}
