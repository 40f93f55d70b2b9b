// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// How a transaction begins and ends. Each connection prepares them once, see preparing.
const (
	sqlBeginWriting = "BEGIN IMMEDIATE"
	sqlBeginReading = "BEGIN"
	sqlCommit       = "COMMIT"
	sqlRollback     = "ROLLBACK"
)

// usuallyRead is how many results a transaction remembers before it looks which of them are closed.
const usuallyRead = 8

// transaction is one on a connection that nobody else uses meanwhile. database/sql has its own, with a goroutine for
// each and one for each query in it that wait for the end of their contexts, and a new statement for BEGIN and for
// COMMIT; to wake a processor for each of them costs a message alone more than what it stores. This one ends only
// where it began, by end, whatever became of its contexts. One goroutine uses it.
type transaction struct {
	conn *sql.Conn
	// results were given out, and may still be read.
	results []*sql.Rows
	over    bool
}

// begin takes a connection, for which ctx may end the wait, and begins a transaction on it. The caller calls end.
func begin(ctx context.Context, db *sql.DB, how string) (*transaction, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), how); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &transaction{conn: conn, results: make([]*sql.Rows, 0, usuallyRead)}, nil
}

// commit is what is done last, but for end: that undoes what a commit that failed has left.
func (t *transaction) commit() error {
	t.close()
	_, err := t.conn.ExecContext(context.Background(), sqlCommit)
	if err == nil {
		t.over = true
	}
	return err
}

// end undoes what was not committed, and gives the connection back: what is called after it fails.
func (t *transaction) end() {
	t.close()
	if !t.over {
		t.over = true
		if _, err := t.conn.ExecContext(context.Background(), sqlRollback); err != nil && !undone(err) {
			// The connection may still be inside: who got it next could begin nothing, and the writer has no other.
			_ = t.conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}
	_ = t.conn.Close()
}

// undone tells whether a ROLLBACK failed because SQLite had undone the transaction by itself: the disk is full, or it was
// interrupted.
func undone(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_ERROR
}

// close ends what is still being read: SQLite would keep the state that it reads, and database/sql the connection.
func (t *transaction) close() {
	for _, rows := range t.results {
		_ = rows.Close()
	}
	t.results = t.results[:0]
}

// ExecContext implements querier.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.conn.ExecContext(ctx, query, args...)
}

// QueryContext implements querier.
func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := t.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	if len(t.results) == cap(t.results) {
		t.results = slices.DeleteFunc(t.results, closed)
	}
	t.results = append(t.results, rows)
	return rows, nil
}

// closed tells whether a result is read to its end, or closed.
func closed(rows *sql.Rows) bool {
	_, err := rows.Columns()
	return err != nil
}

// QueryRowContext implements querier.
func (t *transaction) QueryRowContext(ctx context.Context, query string, args ...any) firstRow {
	rows, err := t.QueryContext(ctx, query, args...) //nolint:rowserrcheck // Scan checks it
	return firstRow{rows: rows, err: err}
}

// firstRow is the first row of a result, or why there is none.
type firstRow struct {
	rows *sql.Rows
	err  error
}

// Scan reads it, and closes the result. sql.ErrNoRows if it is empty.
func (r firstRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		if err := errors.Join(r.rows.Err(), r.rows.Close()); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return errors.Join(err, r.rows.Close())
	}
	return r.rows.Close()
}
