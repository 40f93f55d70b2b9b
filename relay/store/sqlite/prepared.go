// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
)

const (
	// mostPrepared statements stay prepared on each connection, none with a longer text.
	mostPrepared    = 128
	longestPrepared = 4 << 10

	// dataVersion is another number once another connection has changed the file. It is read when
	// the statement runs.
	dataVersion = "PRAGMA data_version"
)

// openDB is sql.Open for connections that keep their statements prepared: to parse and plan
// one anew costs several times what it does.
func openDB(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{c}), nil
}

type connector struct{ driver.Connector }

// conn is what the driver's connections can do, as far as database/sql makes use of it.
type conn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	driver.Pinger
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a connection of the driver, %T, lacks what is needed", inner), inner.Close())
	}
	return &preparing{conn: full, kept: map[string]*kept{}}, nil
}

// preparing is a connection that prepares each statement once. database/sql uses a
// connection from one goroutine at a time.
type preparing struct {
	conn
	kept map[string]*kept
}

// kept is a prepared statement; busy while rows of it are being read.
type kept struct {
	stmt interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	busy bool
}

// statement returns a prepared statement, or nil where none is to be kept.
func (p *preparing) statement(ctx context.Context, query string) (*kept, error) {
	if k := p.kept[query]; k != nil {
		if k.busy {
			return nil, nil //nolint:nilnil // as the comment says
		}
		return k, nil
	}
	if !keeps(query) {
		return nil, nil //nolint:nilnil // as the comment says
	}
	if len(p.kept) >= mostPrepared {
		if err := p.forget(); err != nil {
			return nil, err
		}
	}
	stmt, err := p.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	k := &kept{}
	var ok bool
	if k.stmt, ok = stmt.(interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}); !ok {
		return nil, stmt.Close()
	}
	p.kept[query] = k
	return k, nil
}

// keeps tells whether a statement reads or writes rows, or begins or ends a transaction. Others run once,
// and some of them, like pragmas, do a part of their work when they are prepared.
func keeps(query string) bool {
	switch query {
	case dataVersion, sqlBeginWriting, sqlBeginReading, sqlCommit, sqlRollback:
		return true
	}
	if len(query) > longestPrepared {
		return false
	}
	for _, verb := range []string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"} {
		if strings.HasPrefix(query, verb) {
			return true
		}
	}
	return false
}

// forget closes what is not in use.
func (p *preparing) forget() error {
	var errs []error
	for query, k := range p.kept {
		if !k.busy {
			errs = append(errs, k.stmt.Close())
			delete(p.kept, query)
		}
	}
	return errors.Join(errs...)
}

// ExecContext implements driver.ExecerContext.
func (p *preparing) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	k, err := p.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return p.conn.ExecContext(ctx, query, args)
	}
	return k.stmt.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (p *preparing) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	k, err := p.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return p.conn.QueryContext(ctx, query, args)
	}
	rows, err := k.stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	k.busy = true
	return &reading{rows, k}, nil
}

// Close implements driver.Conn.
func (p *preparing) Close() error { return errors.Join(p.forget(), p.conn.Close()) }

// reading are rows of a kept statement, which is free again after them.
type reading struct {
	driver.Rows
	of *kept
}

// Close implements driver.Rows.
func (r *reading) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}
