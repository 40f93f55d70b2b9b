// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/certlink/certlink/relay/store"
)

// PutObjects implements store.Objects.
func (s *Store) PutObjects(ctx context.Context, collection string, objects []store.Object, cursor string) ([]store.Outcome, error) {
	if len(objects) > store.MaxRecords {
		return nil, fmt.Errorf("storing objects: %d at once are more than %d", len(objects), store.MaxRecords)
	}
	var size int64
	for _, o := range objects {
		size += int64(len(o.Raw)) + objectWrite
	}
	if err := s.keepReserve(1, size); err != nil {
		return nil, fmt.Errorf("storing objects: %w", err)
	}
	s.checkpoints.wrote(size)
	var outcomes []store.Outcome
	err := s.change(ctx, feed, "storing objects", func(tx *transaction) error {
		p, err := s.newPut(ctx, tx, collection)
		if err != nil {
			return err
		}
		outcomes, err = p.run(ctx, objects, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// rowsAtOnce is the largest number of rows that one statement inserts: half of what a row
// costs is the beginning and the end of its statement.
const rowsAtOnce = 128

// put is one PutObjects.
type put struct {
	tx         *transaction
	words      *vocabulary
	ticker     *ticker
	collection int64
	known      *known
	args       []any
	keys       []int64
	// last is the position of the last record that this put has inserted; 0 before.
	last int64
}

func (s *Store) newPut(ctx context.Context, tx *transaction, collection string) (*put, error) {
	p := &put{tx: tx, words: newVocabulary(tx), known: s.known}
	err := s.beginKnown(ctx, tx)
	if err != nil {
		return nil, err
	}
	if p.collection, err = p.words.id(ctx, collection); err != nil {
		return nil, err
	}
	if p.ticker, err = s.newTicker(ctx, tx); err != nil {
		return nil, err
	}
	return p, nil
}

// The statements of a put. Without a position a record gets the one behind the last of the
// table, and SQLite need not be able to undo the statement alone: to remember for that how
// each page was costs a twentieth of an import (with OR ROLLBACK, a statement that fails
// undoes the transaction, as it would be in any case).
var (
	anyStored    = "SELECT EXISTS (SELECT 1 FROM objects INDEXED BY objects_by_key WHERE key IN (?" + strings.Repeat(",?", rowsAtOnce-1) + ") AND collection = ?)"
	storedObject = "SELECT raw FROM objects" + ofVersion
	insertFirst  = "INSERT INTO objects (collection, stix_id, version, type, spec, raw, revoked, key, seq) VALUES (?,?,?,?,?,?,?,?,?)"
	// insertNext are statements for 1, 2, 4 … rowsAtOnce rows.
	insertNext = func() (texts []string) {
		for n := 1; n <= rowsAtOnce; n *= 2 {
			texts = append(texts, "INSERT OR ROLLBACK INTO objects (collection, stix_id, version, type, spec, raw, revoked, key) VALUES (?,?,?,?,?,?,?,?)"+
				strings.Repeat(",(?,?,?,?,?,?,?,?)", n-1))
		}
		return texts
	}()
)

// ofVersion selects a version of an object of a collection, of whichever spec version it is.
const ofVersion = " INDEXED BY objects_by_key WHERE key = ? AND collection = ? AND stix_id = ? AND version = ? AND spec IN " + allSpecs

func (p *put) run(ctx context.Context, objects []store.Object, cursor string) ([]store.Outcome, error) {
	outcomes := make([]store.Outcome, 0, len(objects))
	// The driver starts a goroutine for each statement that can be cancelled. Between
	// two groups is often enough.
	steady := context.WithoutCancel(ctx)
	for group := range slices.Chunk(objects, rowsAtOnce) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := p.group(steady, group)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, got...)
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

// group stores objects: all with one statement if they are many and all new to
// the collection, else one by one.
func (p *put) group(ctx context.Context, objects []store.Object) ([]store.Outcome, error) {
	outcomes := make([]store.Outcome, len(objects))
	fresh, err := p.fresh(ctx, objects)
	if err != nil {
		return nil, err
	}
	if fresh {
		for i := range outcomes {
			outcomes[i] = store.Added
		}
		return outcomes, p.insert(ctx, objects)
	}
	for i, o := range objects {
		if outcomes[i], err = p.one(ctx, o); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// fresh tells whether these are different objects of which no version is stored. Of few it
// may not tell.
func (p *put) fresh(ctx context.Context, objects []store.Object) (bool, error) {
	seen := make(map[int64]bool, len(objects))
	p.args, p.keys = p.args[:0], p.keys[:0]
	for _, o := range objects {
		key := keyOf(o.ID)
		if seen[key] {
			return false, nil
		}
		seen[key] = true
		p.args, p.keys = append(p.args, key), append(p.keys, key)
	}
	if p.known.news(p.keys) {
		return true, nil
	}
	if len(objects) < rowsAtOnce {
		return false, nil
	}
	var stored bool
	err := p.tx.QueryRowContext(ctx, anyStored, append(p.args, p.collection)...).Scan(&stored)
	return !stored, err
}

// one stores an object unless its version is stored.
func (p *put) one(ctx context.Context, o store.Object) (store.Outcome, error) {
	var stored []byte
	err := p.tx.QueryRowContext(ctx, storedObject, keyOf(o.ID), p.collection, o.ID, versionMicros(o.Version)).Scan(&stored)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.Added, p.insert(ctx, []store.Object{o})
	case err != nil:
		return 0, err
	case bytes.Equal(stored, o.Raw):
		return store.Duplicate, nil
	}
	return store.Forked, nil
}

// insert adds records with the next positions.
func (p *put) insert(ctx context.Context, objects []store.Object) error {
	if p.last == 0 && len(objects) > 0 {
		if err := p.rows(ctx, insertFirst, objects[:1], p.ticker.last+1); err != nil {
			return err
		}
		objects = objects[1:]
	}
	for i, text := range slices.Backward(insertNext) {
		for n := 1 << i; len(objects) >= n; objects = objects[n:] {
			if err := p.rows(ctx, text, objects[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows adds records by one statement, whose last arguments are given.
func (p *put) rows(ctx context.Context, text string, objects []store.Object, last ...any) error {
	p.args, p.keys = p.args[:0], p.keys[:0]
	for _, o := range objects {
		typ, err := p.words.id(ctx, o.Type)
		if err != nil {
			return err
		}
		raw := o.Raw
		if raw == nil {
			raw = []byte{} // STRICT tables refuse NULL; no bytes are an empty blob
		}
		key := keyOf(o.ID)
		p.keys = append(p.keys, key)
		p.args = append(p.args, p.collection, o.ID, versionMicros(o.Version), typ, o.SpecVersion, raw, o.Revoked, key)
		p.last = p.ticker.next()
	}
	p.known.add(p.keys...)
	result, err := p.tx.ExecContext(ctx, text, append(p.args, last...)...)
	if err != nil {
		return err
	}
	at, err := result.LastInsertId()
	if err == nil && at != p.last {
		err = fmt.Errorf("a record got the position %d in the place of %d", at, p.last)
	}
	return err
}
