// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"
	"time"

	"modernc.org/sqlite"
)

// breaking is a connector whose connections fail at what they are told to, and leave everything as it is.
type breaking struct {
	driver.Connector
	fails func(query string) bool
}

func (b breaking) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := b.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &breakingConn{conn: inner.(conn), fails: b.fails}, nil
}

type breakingConn struct {
	conn
	fails func(query string) bool
}

func (c *breakingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.fails(query) {
		return nil, errOnPurpose
	}
	return c.conn.ExecContext(ctx, query, args)
}

// openBreaking is openAt for a store whose next commit fails when it is told to.
func openBreaking(t *testing.T, path string, now func() time.Time, fails *bool) *Store {
	t.Helper()
	return openBreakingAt(t, path, now, func(query string) bool {
		if !*fails || query != sqlCommit {
			return false
		}
		*fails = false
		return true
	})
}

// openBreakingAt is openAt for a store whose statements fail when fails says so.
func openBreakingAt(t *testing.T, path string, now func() time.Time, fails func(query string) bool) *Store {
	t.Helper()
	s := openAt(t, path, now)
	s.length.once.Do(func() {}) // no commits but those of the test
	if err := s.write.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := sqlite.NewConnector(dsn(s.path, "immediate", "synchronous(OFF)"))
	if err != nil {
		t.Fatal(err)
	}
	s.write = sql.OpenDB(breaking{connector{c}, fails})
	s.write.SetMaxOpenConns(1)
	return s
}
