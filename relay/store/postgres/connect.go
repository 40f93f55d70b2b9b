// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/certlink/certlink/relay/store"
)

const (
	connectTimeout = 5 * time.Second
	// lifetime of a connection: after that a new address or user has taken over everywhere.
	lifetime = 30 * time.Minute
)

// session makes a connection ours. Every list is to be read along an index, in
// the order in which our statements name the tables, whatever the statistics
// say: a plan that sorts or scans a million rows must not come up by itself.
// The timeouts free what a replica holds that has died or lost its network.
const session = `SET synchronous_commit = on; SET statement_timeout = '30s'; SET lock_timeout = '20s';
	SET idle_in_transaction_session_timeout = '30s'; SET jit = off; SET timezone = 'UTC'; SET client_min_messages = warning;
	SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;
	SET enable_sort = off; SET enable_material = off; SET join_collapse_limit = 1; SET from_collapse_limit = 1`

// liveness lets the server notice that a replica is gone which did not say so, as one whose node lost its power:
// 7 s after it last heard of it, or 8 s after something that it sent was not acknowledged. A
// connection over a socket of the machine has none of this, and needs none.
const liveness = `SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 4; SET tcp_user_timeout = 8000`

// urgently bounds for how long a transaction about messages, trust or leases may do nothing: it has the row
// of a line, for which all other replicas wait. Ours take milliseconds. Where it is passed, as by a replica
// that stood still, nothing of the transaction is stored, and its caller gets an error.
const urgently = `SET idle_in_transaction_session_timeout = '5s'`

// alive lets us notice that the server is gone which did not say so: 11 s after we last heard of it.
var alive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

// errURL says no more about a connection URI than that: it is a secret, and
// parsers quote what they cannot read.
var errURL = errors.New("the connection URI is not valid: want postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full")

// connection reads the URI and makes the settings of one connection.
func (s *Store) connection() (*pgx.ConnConfig, error) {
	uri, err := s.cfg.URL()
	if err != nil {
		return nil, err
	}
	return parse(uri)
}

func parse(uri string) (*pgx.ConnConfig, error) {
	uri = strings.TrimSpace(uri)
	if !strings.HasPrefix(uri, "postgres://") && !strings.HasPrefix(uri, "postgresql://") {
		return nil, errURL
	}
	cfg, err := pgx.ParseConfig(uri)
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return nil, fmt.Errorf("reading a file that the connection URI names: %w", file)
	}
	if err != nil {
		return nil, errURL // the reason would quote the secret
	}
	if cfg.ConnectTimeout == 0 || cfg.ConnectTimeout > connectTimeout {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.DialFunc = (&net.Dialer{Timeout: cfg.ConnectTimeout, KeepAliveConfig: alive}).DialContext
	if cfg.ValidateConnect == nil {
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	return cfg, nil
}

// pool makes a pool of at most that many connections, with settings of their own. It connects when it is used.
func (s *Store) pool(ctx context.Context, most int, settings string) (*pgxpool.Pool, error) {
	// pgxpool wants its settings parsed by itself; what counts is set for each connection.
	cfg, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, err
	}
	first, err := s.connection()
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig = first
	cfg.MaxConns = int32(most) //nolint:gosec // configured, at most 1000
	cfg.MaxConnLifetime, cfg.MaxConnLifetimeJitter, cfg.MaxConnIdleTime = lifetime, lifetime/10, lifetime/3
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		fresh, err := s.connection()
		if err == nil {
			*c = *fresh
		}
		return err
	}
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		err := s.admit(ctx, conn)
		if err == nil && settings != "" {
			_, err = conn.Exec(ctx, settings)
		}
		return err
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

// connect makes one connection outside the pools.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := s.connection()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := makeOurs(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// makeOurs sets up a session, and refuses a server that could not keep our promise.
func makeOurs(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, session+"; "+liveness); err != nil {
		return err
	}
	var release int
	var fsync, commit, encoding string
	if err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'),
		current_setting('synchronous_commit'), current_setting('server_encoding')`).Scan(&release, &fsync, &commit, &encoding); err != nil {
		return err
	}
	switch {
	case release < 130000:
		return fmt.Errorf("the server is PostgreSQL %d, 13 or newer is needed", release/10000)
	case fsync != "on":
		return errors.New("the server runs with fsync off: a power loss would lose messages that were acknowledged")
	case commit != "on":
		return fmt.Errorf("synchronous_commit is %s: a power loss would lose messages that were acknowledged", commit)
	case encoding != "UTF8":
		return fmt.Errorf("the database is encoded in %s, UTF8 is needed", encoding)
	}
	return nil
}

// identity tells databases of ours apart, and their schemas.
type identity struct {
	id      string
	version int
}

// admit makes a new connection of a pool ours. It must lead to the database that
// was opened: the URI may have changed meanwhile.
func (s *Store) admit(ctx context.Context, conn *pgx.Conn) error {
	if err := makeOurs(ctx, conn); err != nil {
		return err
	}
	now, err := readIdentity(ctx, conn)
	switch {
	case err != nil:
		return err
	case now.id != s.id.id:
		return errors.New("the connection URI leads to another database than when the relay was started: start it again")
	case now.version > s.id.version:
		return newer(now.version, s.id.version)
	}
	return nil
}

func newer(version, known int) error {
	return fmt.Errorf("%w: it has version %d, this release knows versions up to %d: run the newer release again, or restore a backup from before the upgrade",
		store.ErrNewerSchema, version, known)
}
