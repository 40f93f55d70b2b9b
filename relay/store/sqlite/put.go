// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/certlink/certlink/relay/store"
)

// PutObjects implements store.Objects.
func (s *Store) PutObjects(ctx context.Context, collection string, objects []store.Object, cursor string) ([]store.Outcome, error) {
	if len(objects) > store.MaxRecords {
		return nil, fmt.Errorf("storing objects: %d at once are more than %d", len(objects), store.MaxRecords)
	}
	if err := s.keepReserve(1); err != nil {
		return nil, fmt.Errorf("storing objects: %w", err)
	}
	var outcomes []store.Outcome
	err := s.change(ctx, feed, "storing objects", func(tx *sql.Tx) error {
		p, err := s.newPut(ctx, tx, collection)
		if err != nil {
			return err
		}
		defer p.close()
		outcomes, err = p.run(ctx, objects, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// rowsAtOnce is the number of rows that one statement inserts, when there are as
// many: half of what a row costs is the beginning and the end of its statement.
const rowsAtOnce = 64

// put is one PutObjects. Its statements are prepared once, when they are needed.
type put struct {
	tx         *sql.Tx
	words      *vocabulary
	ticker     *ticker
	collection int64
	// one and many insert one row and rowsAtOnce.
	one, many *sql.Stmt
	args      []any
}

func (s *Store) newPut(ctx context.Context, tx *sql.Tx, collection string) (*put, error) {
	p := &put{tx: tx, words: newVocabulary(tx)}
	var err error
	if p.collection, err = p.words.id(ctx, collection); err != nil {
		return nil, err
	}
	if p.ticker, err = s.newTicker(ctx, tx); err != nil {
		return nil, err
	}
	return p, nil
}

// statement returns the one for so many objects, and how many of them it inserts.
func (p *put) statement(ctx context.Context, objects int) (statement *sql.Stmt, rows int, err error) {
	to, rows := &p.one, 1
	if objects >= rowsAtOnce {
		to, rows = &p.many, rowsAtOnce
	}
	if *to == nil {
		*to, err = p.tx.PrepareContext(ctx, insertRows(rows))
	}
	return *to, rows, err
}

// insertRows is the statement that inserts objects whose version is not stored yet.
func insertRows(rows int) string {
	return "INSERT INTO objects (seq, collection, stix_id, version, type, spec, raw, revoked) VALUES " +
		strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?,?,?),", rows), ",") + " ON CONFLICT (collection, stix_id, version) DO NOTHING"
}

func (p *put) close() {
	for _, statement := range []*sql.Stmt{p.one, p.many} {
		if statement != nil {
			_ = statement.Close() // it ends with the transaction in any case
		}
	}
}

func (p *put) run(ctx context.Context, objects []store.Object, cursor string) ([]store.Outcome, error) {
	outcomes := make([]store.Outcome, 0, len(objects))
	for rest := objects; len(rest) > 0; {
		statement, n, err := p.statement(ctx, len(rest))
		if err != nil {
			return nil, err
		}
		got, err := p.insert(ctx, statement, rest[:n])
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, got...)
		rest = rest[n:]
	}
	if err := p.ticker.save(ctx); err != nil {
		return nil, err
	}
	var added int64
	for _, outcome := range outcomes {
		if outcome == store.Added {
			added++
		}
	}
	if added == 0 && cursor == "" {
		return outcomes, nil
	}
	_, err := p.tx.ExecContext(ctx, `INSERT INTO collections (collection, objects, cursor) VALUES (?1, ?2, ?3)
		ON CONFLICT (collection) DO UPDATE SET objects = objects + ?2, cursor = iif(?3 = '', cursor, ?3)`,
		p.collection, added, cursor)
	return outcomes, err
}

// insert stores objects with one statement and says what became of each.
func (p *put) insert(ctx context.Context, statement *sql.Stmt, objects []store.Object) ([]store.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	first := p.ticker.last + 1
	p.args = p.args[:0]
	for _, o := range objects {
		typ, err := p.words.id(ctx, o.Type)
		if err != nil {
			return nil, err
		}
		raw := o.Raw
		if raw == nil {
			raw = []byte{} // STRICT tables refuse NULL; no bytes are an empty blob
		}
		p.args = append(p.args, p.ticker.next(), p.collection, o.ID, versionMicros(o.Version), typ, o.SpecVersion, raw, o.Revoked)
	}
	// The driver starts a goroutine for each statement that can be cancelled. Between
	// two statements is often enough; see above.
	result, err := statement.ExecContext(context.WithoutCancel(ctx), p.args...)
	if err != nil {
		return nil, err
	}
	added, err := result.RowsAffected()
	if err != nil {
		return nil, err
	}
	outcomes := make([]store.Outcome, len(objects))
	if added == int64(len(objects)) {
		for i := range outcomes {
			outcomes[i] = store.Added
		}
		return outcomes, nil
	}
	return outcomes, p.compare(ctx, objects, first, outcomes)
}

// compare finds out what became of objects that did not all get the positions
// that were meant for them, from first on.
func (p *put) compare(ctx context.Context, objects []store.Object, first int64, outcomes []store.Outcome) (err error) {
	rows, err := p.tx.QueryContext(ctx, "SELECT seq FROM objects WHERE seq >= ?", first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return err
		}
		outcomes[seq-first] = store.Added
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i, o := range objects {
		if outcomes[i] == store.Added {
			continue
		}
		var same bool
		if err := p.tx.QueryRowContext(ctx, "SELECT raw = ? FROM objects WHERE collection = ? AND stix_id = ? AND version = ?",
			o.Raw, p.collection, o.ID, versionMicros(o.Version)).Scan(&same); err != nil {
			return err
		}
		outcomes[i] = store.Forked
		if same {
			outcomes[i] = store.Duplicate
		}
	}
	return nil
}
