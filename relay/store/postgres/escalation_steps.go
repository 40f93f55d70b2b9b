// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

const wholeNotice = `SELECT seq, id, peer, event, stage, step, occurrence, direction, message, notifier, urgency, deadline, at, batch, attempts, next_at, sent_at, error
	FROM notices`

type placed struct {
	store.Notice
	seq int64
}

func scanNotice(row pgx.Row) (n placed, err error) {
	var deadline, at, next, sent int64
	err = row.Scan(&n.seq, &n.ID, &n.Peer, &n.Event, &n.Stage, &n.Step, &n.Occurrence, &n.Direction, &n.Message, &n.Notifier, &n.Urgency,
		&deadline, &at, &n.Batch, &n.Attempts, &next, &sent, &n.Error)
	n.Deadline, n.At, n.NextAt, n.SentAt = instant(deadline), instant(at), instant(next), instant(sent)
	return n, err
}

func notices(rows []placed) []store.Notice {
	var out []store.Notice
	for _, r := range rows {
		out = append(out, r.Notice)
	}
	return out
}

// OpenEscalations implements store.Escalations.
func (s *Store) OpenEscalations(ctx context.Context, peer string, after store.Escalation, limit int) ([]store.Escalation, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return nil, fmt.Errorf("listing escalations: %w", err)
	}
	return list(ctx, s, "listing escalations", func(row pgx.Row) (e store.Escalation, err error) {
		var first, last int64
		err = row.Scan(&e.Direction, &e.Message, &e.Stage, &e.Step, &e.Taken, &first, &last)
		e.FirstAt, e.LastAt = instant(first), instant(last)
		return e, err
	}, `SELECT direction, message, stage, step, taken, first_at, last_at FROM escalations
		WHERE peer = $1 AND settled_at = 0 AND (direction, message, stage, step) > ($2, $3, $4, $5)
		ORDER BY direction, message, stage, step LIMIT $6`, peer, after.Direction, after.Message, after.Stage, after.Step, limit)
}

// OpenNotices implements store.Escalations.
func (s *Store) OpenNotices(ctx context.Context, q store.OpenQuery) ([]store.Notice, error) {
	if err := checkLimit(q.Limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing open notices: %w", err)
	}
	rows, err := list(ctx, s, "listing open notices", scanNotice, wholeNotice+` WHERE peer = $1 AND notifier = $2 AND next_at <> 0
		AND (next_at <= $3 OR next_at > $4) AND ($5::text = '' OR batch = $5) ORDER BY urgency, seq LIMIT $6`,
		q.Peer, q.Notifier, micros(q.Due), micros(q.Beyond), q.Batch, q.Limit)
	return notices(rows), err
}

// FailedNotices implements store.Escalations.
func (s *Store) FailedNotices(ctx context.Context, peer string, limit int) ([]store.Notice, error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing failed notices: %w", err)
	}
	rows, err := list(ctx, s, "listing failed notices", scanNotice,
		wholeNotice+" WHERE peer = $1 AND next_at <> 0 AND attempts > 0 ORDER BY seq LIMIT $2", peer, limit)
	return notices(rows), err
}

// AbandonNotices implements store.EscalationWriter.
func (l *lineTx) AbandonNotices(notifiers []string, why string) error {
	_, err := l.tx.Exec(l.ctx, "UPDATE notices SET next_at = 0, error = $1 WHERE peer = $2 AND next_at <> 0 AND notifier <> ALL ($3)", storable(why), l.peer, append([]string{}, notifiers...))
	return err
}

// ListNotices implements store.Escalations.
func (s *Store) ListNotices(ctx context.Context, q store.NoticeQuery) (page store.NoticePage, err error) {
	if err := checkLimit(q.Limit, store.MaxMessages); err != nil {
		return store.NoticePage{}, fmt.Errorf("listing notices: %w", err)
	}
	c := &clause{}
	c.add(wholeNotice+" WHERE peer = ?", q.Peer)
	for _, equal := range []struct{ column, value string }{{"message", q.Message}, {"event", q.Event}} {
		if equal.value != "" {
			c.add(" AND "+equal.column+" = ?", equal.value)
		}
	}
	if q.Before != 0 {
		c.add(" AND seq < ?", q.Before)
	}
	c.add(" ORDER BY seq DESC LIMIT ?", q.Limit+1)
	rows, err := list(ctx, s, "listing notices", scanNotice, c.sql(), c.args...)
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		page.Next = rows[q.Limit-1].seq
	}
	page.Notices = notices(rows)
	return page, err
}

// TakeStep implements store.EscalationWriter. It looks before it writes: after a
// conflict nothing is done.
func (l *lineTx) TakeStep(e store.Escalation) error {
	var taken int32
	var settled int64
	err := l.tx.QueryRow(l.ctx, "SELECT taken, settled_at FROM escalations WHERE peer = $1 AND direction = $2 AND message = $3 AND stage = $4 AND step = $5",
		l.peer, e.Direction, e.Message, e.Stage, e.Step).Scan(&taken, &settled)
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return err
	case settled != 0:
		taken = 0
	}
	if e.Taken != taken+1 {
		return fmt.Errorf("step %s of message %s was taken %d times: %w", e.Step, e.Message, taken, store.ErrConflict)
	}
	_, err = l.tx.Exec(l.ctx, `INSERT INTO escalations (peer, direction, message, stage, step, taken, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (peer, direction, message, stage, step) DO UPDATE SET taken = excluded.taken, first_at = excluded.first_at,
			last_at = excluded.last_at, settled_at = 0`,
		l.peer, e.Direction, e.Message, e.Stage, e.Step, e.Taken, micros(e.FirstAt), micros(e.LastAt))
	return err
}

// SettleSteps implements store.EscalationWriter.
func (l *lineTx) SettleSteps(d store.Direction, message, stage, why string) (told []store.Notice, err error) {
	if _, err := l.tx.Exec(l.ctx, `UPDATE escalations SET settled_at = $1 WHERE peer = $2 AND direction = $3 AND message = $4 AND stage = $5 AND settled_at = 0`,
		micros(l.s.now()), l.peer, d, message, stage); err != nil {
		return nil, err
	}
	if _, err := l.tx.Exec(l.ctx, `UPDATE notices SET next_at = 0, error = $1 WHERE peer = $2 AND message = $3 AND direction = $4 AND stage = $5
		AND next_at <> 0`, why, l.peer, message, d, stage); err != nil {
		return nil, err
	}
	rows, err := l.tx.Query(l.ctx, wholeNotice+" WHERE peer = $1 AND message = $2 AND direction = $3 AND stage = $4 AND attempts > 0 ORDER BY seq",
		l.peer, message, d, stage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		n, err := scanNotice(rows)
		if err != nil {
			return nil, err
		}
		told = append(told, n.Notice)
	}
	return told, rows.Err()
}

// PutNotice implements store.EscalationWriter.
func (l *lineTx) PutNotice(n store.Notice) error {
	if err := n.Check(); err != nil {
		return fmt.Errorf("storing notice: %w", err)
	}
	_, err := l.tx.Exec(l.ctx, `INSERT INTO notices (peer, id, event, stage, step, occurrence, direction, message, notifier, urgency, deadline, at, batch, attempts, next_at, sent_at, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (peer, id) DO UPDATE SET batch = excluded.batch, attempts = excluded.attempts, next_at = excluded.next_at, sent_at = excluded.sent_at, error = excluded.error
			WHERE notices.next_at <> 0 OR excluded.next_at = 0`,
		l.peer, n.ID, n.Event, n.Stage, n.Step, n.Occurrence, n.Direction, n.Message, n.Notifier, n.Urgency, micros(n.Deadline), micros(n.At),
		n.Batch, n.Attempts, micros(n.NextAt), micros(n.SentAt), storable(n.Error))
	return err
}
