// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
)

// migrationLock is held in the database while one step is made ("CERT").
const migrationLock = 0x43455254

//go:embed migrations/*.sql
var migrations embed.FS

// steps returns the names of the migrations in order: step i leads to version i+1.
func steps() ([]string, error) {
	return fs.Glob(migrations, "migrations/*.sql")
}

// prepare brings the schema to the newest version, one transaction for each
// step. A crash leaves the last whole step, and the next start goes on there.
func (s *Store) prepare(ctx context.Context) (err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	// A step may take long, and may wait long for that of another replica.
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0; SET lock_timeout = 0"); err != nil {
		return err
	}
	known, err := steps()
	if err != nil {
		return err
	}
	for {
		done, err := migrateStep(ctx, conn, known)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	s.id, err = readIdentity(ctx, conn)
	return err
}

// migrateStep makes the next step. It tells whether none is left.
func migrateStep(ctx context.Context, conn *pgx.Conn, known []string) (done bool, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer rollback(ctx, tx)
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))", migrationLock); err != nil {
		return false, err
	}
	version, err := schemaVersion(ctx, tx)
	switch {
	case err != nil:
		return false, err
	case version > len(known):
		return false, newer(version, len(known))
	case version == len(known):
		return true, nil
	}
	if err := runScript(ctx, tx, known[version], version+1); err != nil {
		return false, fmt.Errorf("migrating the schema to version %d: %w", version+1, err)
	}
	return false, tx.Commit(ctx)
}

// schemaVersion is 0 for an empty database. That of another program is refused.
func schemaVersion(ctx context.Context, tx pgx.Tx) (int, error) {
	var ours bool
	var tables int
	if err := tx.QueryRow(ctx, `SELECT to_regclass('certlink_schema') IS NOT NULL,
		(SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p'))`).
		Scan(&ours, &tables); err != nil {
		return 0, err
	}
	switch {
	case ours:
		now, err := readIdentity(ctx, tx)
		return now.version, err
	case tables > 0:
		return 0, errors.New("it is the database of another program: give the relay one of its own")
	}
	_, err := tx.Exec(ctx, `CREATE TABLE certlink_schema (
		one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid())`)
	if err == nil {
		_, err = tx.Exec(ctx, "INSERT INTO certlink_schema (version) VALUES (0)")
	}
	return 0, err
}

func runScript(ctx context.Context, tx pgx.Tx, name string, version int) error {
	script, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	if _, err := tx.Conn().PgConn().Exec(ctx, string(script)).ReadAll(); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE certlink_schema SET version = $1", version)
	return err
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readIdentity(ctx context.Context, q querier) (identity, error) {
	var i identity
	err := q.QueryRow(ctx, "SELECT id::text, version FROM certlink_schema").Scan(&i.id, &i.version)
	return i, err
}
