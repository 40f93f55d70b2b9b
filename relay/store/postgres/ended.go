// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// forgetEnded are the statements of ForgetEnded: of notices, steps and drafts. Notices go first: they stay as long as
// their step is open.
var forgetEnded = []string{
	`DELETE FROM notices WHERE seq IN (SELECT n.seq FROM notices n WHERE n.peer = $1 AND n.next_at = 0 AND n.at < $2 AND n.sent_at < $2
		AND NOT EXISTS (SELECT 1 FROM escalations e WHERE e.peer = n.peer AND e.direction = n.direction AND e.message = n.message AND e.stage = n.stage AND e.settled_at = 0)
		ORDER BY n.at LIMIT $3)`,
	`DELETE FROM escalations WHERE (peer, direction, message, stage, step) IN (SELECT peer, direction, message, stage, step
		FROM escalations WHERE peer = $1 AND settled_at <> 0 AND settled_at < $2 ORDER BY settled_at LIMIT $3)`,
	`DELETE FROM drafts WHERE seq IN (SELECT seq FROM drafts WHERE peer = $1 AND NOT waiting AND expires_at < $2 AND created_at < $2
		ORDER BY expires_at LIMIT $3)`,
}

// ForgetEnded implements store.Ended.
//
// One transaction: a crash before its commit leaves all of it, after it nothing. It has the row of the line, like
// everything that is urgent: see urgently.
func (s *Store) ForgetEnded(ctx context.Context, peer string, before time.Time, limit int) (gone int64, err error) {
	if err := store.CheckForgotten(limit); err != nil {
		return 0, err
	}
	err = s.change(ctx, s.urgent, "letting go of what ended", func(ctx context.Context, tx pgx.Tx) error {
		if err := takeLine(ctx, tx, peer); err != nil {
			return err
		}
		for _, statement := range forgetEnded {
			done, err := tx.Exec(ctx, statement, peer, micros(before), limit)
			if err != nil {
				return err
			}
			gone += done.RowsAffected()
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return gone, nil
}
