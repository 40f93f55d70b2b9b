// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/certlink/certlink/relay/store"
)

const (
	// defaultConnections is the default of Config.MaxConnections, and leastConnections
	// its smallest value: one to listen, one for the hotline, two for feeds.
	defaultConnections = 16
	leastConnections   = 4
	// changeTimeout and lookTimeout bound a whole transaction, whatever the network does.
	changeTimeout = 60 * time.Second
	lookTimeout   = 30 * time.Second
	// beginFor is how long a transaction tries to begin while the server is away
	// for a moment: a restart, a failover behind one address.
	beginFor = 3 * time.Second
)

// Config of a store.
type Config struct {
	// URL returns the connection URI, which is a secret. It is asked for each new
	// connection, so that a new password is used as soon as it is there.
	URL func() (string, error)
	// MaxConnections to the server, at least 4. 0 means 16.
	MaxConnections int
	// Now is the clock. Nil means time.Now; then positions are given out by the
	// server's clock, which is one for all replicas.
	Now func() time.Time
}

// Store is a store.Store in one PostgreSQL database.
type Store struct {
	cfg Config
	// own is whether Now was given: the server's clock is then not asked.
	own bool
	now func() time.Time
	// id is that of the database, set by the first connection.
	id identity
	// urgent has connections for messages, trust and leases, bulk those for feeds:
	// a feed that takes all of its own leaves the hotline's alone.
	urgent, bulk *pgxpool.Pool
	words        *vocabulary
	// turn is held by the one change of feeds that this replica makes at a time.
	// More would only wait for the clock's row, each with a connection.
	turn chan struct{}
	// newest is the position of the newest message when objects were last put, once that was looked at; both are for who has
	// the turn.
	newest int64
	looked bool
	// exchanged is when a message or a receipt was last stored; nil if none was since the start.
	exchanged atomic.Pointer[time.Time]
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Pacer = (*Store)(nil)
)

// Open connects to the database and migrates its schema forward. The caller closes it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = defaultConnections
	}
	s := &Store{cfg: cfg, own: cfg.Now != nil, now: cfg.Now, words: newVocabulary(), turn: make(chan struct{}, 1)}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("opening the PostgreSQL database: %w", errors.Join(classify(err), s.Close()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if s.cfg.MaxConnections < leastConnections {
		return fmt.Errorf("%d connections are fewer than %d", s.cfg.MaxConnections, leastConnections)
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	most := s.cfg.MaxConnections - 1 // without the one that listens
	urgent := max(1, most/3)
	var err error
	if s.urgent, err = s.pool(ctx, urgent, urgently); err != nil {
		return err
	}
	s.bulk, err = s.pool(ctx, most-urgent, "")
	return err
}

// Close waits for running calls and closes all connections.
func (s *Store) Close() error {
	for _, p := range []*pgxpool.Pool{s.urgent, s.bulk} {
		if p != nil {
			p.Close()
		}
	}
	return nil
}

// changeFeeds runs f in a transaction on what feeds keep, one at a time, and tells others of it then: see noteObjects.
func (s *Store) changeFeeds(ctx context.Context, doing string, f func(ctx context.Context, tx pgx.Tx) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	changed := false
	err := s.change(context.WithValue(ctx, objectsChanged{}, &changed), s.bulk, doing, f)
	if err == nil && changed {
		s.tellOfObjects(ctx)
	}
	return err
}

// change runs f in a transaction. What f did is on stable storage when change
// returns nil.
//
// When it returns an error, it is undone, with one exception: a connection that
// breaks while the commit is under way leaves open whether the server made it.
// That is an error as well, and all calls may be repeated: what was stored is
// then found, and not stored twice.
func (s *Store) change(ctx context.Context, pool *pgxpool.Pool, doing string, f func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	tx, err := begin(ctx, pool, pgx.TxOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, classify(err))
	}
	defer rollback(ctx, tx) // also when f panics; nothing after the commit
	if err = fenced(ctx, tx); err == nil {
		err = f(ctx, tx)
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, classify(err))
	}
	return nil
}

// look runs f over one unchanging state of the database.
func (s *Store) look(ctx context.Context, pool *pgxpool.Pool, doing string, f func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	tx, err := begin(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, classify(err))
	}
	defer rollback(ctx, tx) // nothing was changed
	if err = f(ctx, tx); err != nil {
		return fmt.Errorf("%s: %w", doing, classify(err))
	}
	return nil
}

// rollback ends a transaction even if its context has ended. A connection on
// which that fails is closed by the pool, and the server undoes its transaction.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx)
}

// begin begins a transaction. While the server cannot be reached it tries again
// for a moment: nothing has been done yet.
func begin(ctx context.Context, pool *pgxpool.Pool, options pgx.TxOptions) (pgx.Tx, error) {
	limit := time.NewTimer(beginFor)
	defer limit.Stop()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		tx, err := pool.BeginTx(ctx, options)
		if err == nil || !away(err) {
			return tx, err
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-limit.C:
			again.Stop()
			return nil, err
		case <-ctx.Done():
			again.Stop()
			return nil, err
		}
	}
}
