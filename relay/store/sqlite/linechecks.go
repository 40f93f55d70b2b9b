// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/store"
)

const (
	lineCheckKey   = "direction, path, number, slot, at, done_at, content"
	latestOfGroups = ` WHERE peer = ?1 AND number IN (
		SELECT max(l.number) FROM line_checks AS l WHERE l.peer = ?1 AND l.direction = c.direction AND l.path = c.path
		UNION ALL SELECT max(l.number) FROM line_checks AS l WHERE l.peer = ?1 AND l.direction = c.direction AND l.path = c.path AND l.done_at > 0)`
)

// LatestLineChecks implements store.LineChecks.
func (s *Store) LatestLineChecks(ctx context.Context, peer string) (list []store.LineCheck, err error) {
	err = s.look(ctx, "reading line checks", func(tx *transaction) error {
		list, err = queryLineChecks(ctx, tx, "SELECT "+lineCheckKey+" FROM line_checks AS c"+latestOfGroups+" ORDER BY direction, path, number", peer)
		return err
	})
	return list, err
}

// ListLineChecks implements store.LineChecks.
func (s *Store) ListLineChecks(ctx context.Context, peer string, q store.LineCheckQuery) (list []store.LineCheck, err error) {
	if err := checkLimit(q.Limit, store.MaxLineChecks); err != nil {
		return nil, fmt.Errorf("listing line checks: %w", err)
	}
	after := store.LineCheck{Slot: q.From.Add(-time.Microsecond)}
	if q.After != nil {
		after = *q.After
	}
	err = s.look(ctx, "listing line checks", func(tx *transaction) error {
		list, err = queryLineChecks(ctx, tx, "SELECT "+lineCheckKey+` FROM line_checks
			WHERE peer = ? AND slot >= ? AND slot < ? AND (slot, direction, path, number) > (?, ?, ?, ?)
			ORDER BY slot, direction, path, number LIMIT ?`,
			peer, micros(q.From), micros(q.To), micros(after.Slot), after.Direction, after.Path, after.Number, q.Limit)
		return err
	})
	return list, err
}

func queryLineChecks(ctx context.Context, tx *transaction, query string, args ...any) (list []store.LineCheck, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c, err := scanLineCheck(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// scanLineCheck reads the columns lineCheckKey, and more behind them.
func scanLineCheck(row interface{ Scan(dest ...any) error }, more ...any) (c store.LineCheck, err error) {
	var slot, at, done int64
	err = row.Scan(append([]any{&c.Direction, &c.Path, &c.Number, &slot, &at, &done, &c.Content}, more...)...)
	c.Slot, c.At, c.DoneAt = instant(slot), instant(at), instant(done)
	return c, err
}

// LineCheckDays implements store.LineChecks.
func (s *Store) LineCheckDays(ctx context.Context, peer string, first, last int64) (days []store.LineCheckDay, err error) {
	err = s.look(ctx, "reading sums of line checks", func(tx *transaction) (err error) {
		rows, err := tx.QueryContext(ctx, "SELECT day, content FROM line_check_days WHERE peer = ? AND day >= ? AND day < ? ORDER BY day", peer, first, last)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var d store.LineCheckDay
			if err := rows.Scan(&d.Day, &d.Content); err != nil {
				return err
			}
			days = append(days, d)
		}
		return rows.Err()
	})
	return days, err
}

const lineRecord = "SELECT kind, name, part, content, final, at FROM line_records WHERE peer = ? AND kind = ?"

func scanLineRecord(row interface{ Scan(dest ...any) error }) (r store.LineRecord, err error) {
	var at int64
	err = row.Scan(&r.Kind, &r.Name, &r.Part, &r.Content, &r.Final, &at)
	r.At = instant(at)
	return r, err
}

// GetLineRecord implements store.LineChecks.
func (s *Store) GetLineRecord(ctx context.Context, peer, kind, name, part string) (r store.LineRecord, err error) {
	err = s.look(ctx, "reading record of the line", func(tx *transaction) error {
		r, err = scanLineRecord(tx.QueryRowContext(ctx, lineRecord+" AND name = ? AND part = ?", peer, kind, name, part))
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%s %q of %s: %w", kind, name, peer, store.ErrNotFound)
		}
		return err
	})
	return r, err
}

// ListLineRecords implements store.LineChecks.
func (s *Store) ListLineRecords(ctx context.Context, peer, kind string, limit int) (list []store.LineRecord, err error) {
	if err := checkLimit(limit, store.MaxLineChecks); err != nil {
		return nil, fmt.Errorf("listing records of the line: %w", err)
	}
	err = s.look(ctx, "listing records of the line", func(tx *transaction) (err error) {
		rows, err := tx.QueryContext(ctx, lineRecord+" ORDER BY name DESC, part LIMIT ?", peer, kind, limit)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			r, err := scanLineRecord(rows)
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		return rows.Err()
	})
	return list, err
}

// ExerciseOf implements store.LineChecks.
func (s *Store) ExerciseOf(ctx context.Context, peer, conversation string) (name string, err error) {
	err = s.look(ctx, "reading exercise", func(tx *transaction) error {
		err := tx.QueryRowContext(ctx, "SELECT name FROM exercise_conversations WHERE peer = ? AND conversation = ?", peer, conversation).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return name, err
}

// CountTraffic implements store.LineChecks.
func (s *Store) CountTraffic(ctx context.Context, peer string, from, to time.Time) (t store.Traffic, err error) {
	var longest int64
	err = s.look(ctx, "counting messages", func(tx *transaction) error {
		return tx.QueryRowContext(ctx, `SELECT
			coalesce(sum(m.direction = 'out' AND e.name IS NULL), 0), coalesce(sum(m.direction = 'in' AND e.name IS NULL), 0),
			coalesce(sum(m.direction = 'out' AND e.name IS NOT NULL), 0), coalesce(sum(m.direction = 'in' AND e.name IS NOT NULL), 0),
			coalesce(max(CASE WHEN m.direction = 'out' AND e.name IS NULL THEN max(0, m.at - m.stored_at) END), 0)
			FROM (SELECT direction, peer, conversation, stored_at, receipt_at AS at FROM messages
				WHERE direction IN ('in', 'out') AND peer = ?1 AND receipt_at > 0 AND receipt_at >= ?2 AND receipt_at < ?3
				UNION ALL SELECT n.direction, n.peer, n.conversation, n.stored_at, r.at FROM receipts AS r CROSS JOIN messages AS n ON n.pos = r.pos
				WHERE r.peer = ?1 AND r.at > 0 AND r.at >= ?2 AND r.at < ?3) AS m
			LEFT JOIN exercise_conversations AS e ON e.peer = m.peer AND e.conversation = m.conversation`,
			peer, micros(from), micros(to)).Scan(&t.Sent, &t.Received, &t.ExerciseSent, &t.ExerciseReceived, &longest)
	})
	t.LongestReceipt = time.Duration(longest) * time.Microsecond
	return t, err
}

// LineCheck implements store.LineCheckTx.
func (l *lineTx) LineCheck(d store.Direction, path string, number int64) (store.LineCheck, error) {
	return l.oneLineCheck(d, path, " AND number = ?", number)
}

// LastLineCheck implements store.LineCheckTx.
func (l *lineTx) LastLineCheck(d store.Direction, path string) (store.LineCheck, error) {
	return l.oneLineCheck(d, path, " ORDER BY number DESC LIMIT ?", 1)
}

func (l *lineTx) oneLineCheck(d store.Direction, path, rest string, arg any) (store.LineCheck, error) {
	var statement, receipt []byte
	c, err := scanLineCheck(l.tx.QueryRowContext(l.ctx, "SELECT "+lineCheckKey+", statement, receipt FROM line_checks WHERE peer = ? AND direction = ? AND path = ?"+rest,
		l.peer, d, path, arg), &statement, &receipt)
	if errors.Is(err, sql.ErrNoRows) {
		return store.LineCheck{}, fmt.Errorf("line check of %q: %w", path, store.ErrNotFound)
	}
	c.Statement, c.Receipt = statement, receipt
	return c, err
}

// LineCheckPaths implements store.LineCheckTx.
func (l *lineTx) LineCheckPaths(d store.Direction, since time.Time) (n int, err error) {
	err = l.tx.QueryRowContext(l.ctx, "SELECT count(DISTINCT path) FROM line_checks WHERE peer = ? AND direction = ? AND at >= ?", l.peer, d, micros(since)).Scan(&n)
	return n, err
}

// PutLineCheck implements store.LineCheckTx.
func (l *lineTx) PutLineCheck(c store.LineCheck) error {
	if err := c.Check(); err != nil {
		return err
	}
	if _, err := l.tx.ExecContext(l.ctx, `INSERT INTO line_checks (peer, direction, path, number, slot, at, done_at, content, statement, receipt)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (peer, direction, path, number) DO UPDATE SET
		slot = excluded.slot, done_at = excluded.done_at, content = excluded.content, statement = excluded.statement, receipt = excluded.receipt`,
		l.peer, c.Direction, c.Path, c.Number, micros(c.Slot), micros(c.At), micros(c.DoneAt), append([]byte{}, c.Content...), c.Statement, c.Receipt); err != nil {
		return err
	}
	// One row each time: what is older has lost its signed forms before.
	_, err := l.tx.ExecContext(l.ctx, `UPDATE line_checks SET statement = NULL, receipt = NULL WHERE peer = ?1 AND direction = ?2 AND path = ?3 AND number = (
		SELECT number FROM line_checks WHERE peer = ?1 AND direction = ?2 AND path = ?3 ORDER BY number DESC LIMIT 1 OFFSET ?4)`,
		l.peer, c.Direction, c.Path, store.SignedLineChecks)
	return err
}

// SumLineChecks implements store.LineCheckTx.
func (l *lineTx) SumLineChecks(days []store.LineCheckDay, before time.Time) error {
	for _, d := range days {
		if len(d.Content) > store.MaxLineStatement {
			return fmt.Errorf("the sum of a day has %d bytes, more than %d", len(d.Content), store.MaxLineStatement)
		}
		if _, err := l.tx.ExecContext(l.ctx, `INSERT INTO line_check_days (peer, day, content) VALUES (?1, ?2, ?3)
			ON CONFLICT (peer, day) DO UPDATE SET content = ?3`, l.peer, d.Day, append([]byte{}, d.Content...)); err != nil {
			return err
		}
	}
	if _, err := l.tx.ExecContext(l.ctx, `DELETE FROM line_checks AS c WHERE peer = ?1 AND slot < ?2 AND (
		SELECT count(*) FROM (SELECT 1 FROM line_checks AS l WHERE l.peer = ?1 AND l.direction = c.direction AND l.path = c.path AND l.number > c.number LIMIT 2)) = 2`,
		l.peer, micros(before)); err != nil {
		return err
	}
	for _, d := range []store.Direction{store.In, store.Out} {
		if _, err := l.tx.ExecContext(l.ctx, `DELETE FROM line_checks WHERE peer = ?1 AND direction = ?2 AND slot < ?3 AND path IN (
			SELECT path FROM line_checks WHERE peer = ?1 AND direction = ?2 GROUP BY path ORDER BY max(at) DESC, path LIMIT -1 OFFSET ?4)`,
			l.peer, d, micros(before), store.MaxLineCheckPaths); err != nil {
			return err
		}
	}
	return nil
}

// DropLineCheckDays implements store.LineCheckTx.
func (l *lineTx) DropLineCheckDays(before int64) error {
	_, err := l.tx.ExecContext(l.ctx, "DELETE FROM line_check_days WHERE peer = ? AND day < ?", l.peer, before)
	return err
}

// PutLineRecord implements store.LineCheckTx.
func (l *lineTx) PutLineRecord(r store.LineRecord) error {
	if err := r.Check(); err != nil {
		return err
	}
	stored, err := scanLineRecord(l.tx.QueryRowContext(l.ctx, lineRecord+" AND name = ? AND part = ?", l.peer, r.Kind, r.Name, r.Part))
	switch {
	case err == nil && stored.Final && string(stored.Content) == string(r.Content):
		return nil
	case err == nil && stored.Final:
		return fmt.Errorf("%s %q (%s): %w", r.Kind, r.Name, r.Part, store.ErrConflict)
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	}
	_, err = l.tx.ExecContext(l.ctx, `INSERT INTO line_records (peer, kind, name, part, content, final, at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (peer, kind, name, part) DO UPDATE SET content = excluded.content, final = excluded.final, at = excluded.at`,
		l.peer, r.Kind, r.Name, r.Part, append([]byte{}, r.Content...), r.Final, micros(l.s.now()))
	return err
}

// PutExercise implements store.LineCheckTx.
func (l *lineTx) PutExercise(conversation, name string) error {
	var stored string
	switch err := l.tx.QueryRowContext(l.ctx, "SELECT name FROM exercise_conversations WHERE peer = ? AND conversation = ?", l.peer, conversation).Scan(&stored); {
	case err == nil && stored == name:
		return nil
	case err == nil:
		return fmt.Errorf("the conversation %s belongs to the exercise %q: %w", conversation, stored, store.ErrConflict)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	_, err := l.tx.ExecContext(l.ctx, "INSERT INTO exercise_conversations (peer, conversation, name) VALUES (?, ?, ?)", l.peer, conversation, name)
	return err
}
