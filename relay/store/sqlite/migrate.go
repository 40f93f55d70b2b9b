// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// applicationID marks our databases ("CERT"), see PRAGMA application_id.
const applicationID = 0x43455254

//go:embed migrations/*.sql
var migrations embed.FS

// steps returns the names of the migrations in order: step i leads to version i+1.
func steps() ([]string, error) {
	return fs.Glob(migrations, "migrations/*.sql")
}

// checkVersion refuses a database that is not ours, or of a newer release, as peek does, with SQLite's own eyes. It
// changes nothing of what is stored.
func checkVersion(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "deferred", "query_only(1)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	known, err := steps()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	f := facts{version: version}
	// In this order: another process that makes the database meanwhile does both at once.
	if err := db.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_schema").Scan(&f.tables); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&f.application); err != nil {
		return err
	}
	return f.refusal(len(known))
}

// migrate brings the schema to the newest version, one transaction for each
// step. A crash leaves the last whole step, and the next start goes on there.
func migrate(ctx context.Context, db *sql.DB) error {
	known, err := steps()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	for ; version < len(known); version++ {
		if err := migrateStep(ctx, db, known[version], version+1); err != nil {
			return fmt.Errorf("migrating the schema to version %d: %w", version+1, err)
		}
	}
	return nil
}

func migrateStep(ctx context.Context, db *sql.DB, name string, version int) error {
	script, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	// Another process may have done this step while we waited for the lock.
	var done int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&done); err != nil || done >= version {
		return err
	}
	if _, err := tx.ExecContext(ctx, string(script)); err != nil {
		return err
	}
	// A PRAGMA takes no parameters; both are numbers of ours.
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}

func schemaVersion(ctx context.Context, db *sql.DB) (int, error) {
	var version int
	err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return version, err
}
