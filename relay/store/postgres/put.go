// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/certlink/certlink/relay/store"
)

// PutObjects implements store.Objects.
//
// One transaction: it takes the clock's row, asks which versions are stored
// already, copies in the others, and moves the sum and the cursor. As every
// writer of objects holds that row, nobody adds one between the question and the
// copy, which therefore needs no second look at each row. A crash before the
// commit leaves nothing; after it, everything.
func (s *Store) PutObjects(ctx context.Context, collection string, objects []store.Object, cursor string) ([]store.Outcome, error) {
	const doing = "storing objects"
	if len(objects) > store.MaxRecords {
		return nil, fmt.Errorf("%s: %d at once are more than %d", doing, len(objects), store.MaxRecords)
	}
	words, err := s.learn(ctx, doing, wordsOf(collection, objects)...)
	if err != nil {
		return nil, err
	}
	var outcomes []store.Outcome
	err = s.changeFeeds(ctx, doing, func(ctx context.Context, tx pgx.Tx) (err error) {
		if outcomes, err = s.put(ctx, tx, words[collection], words, objects, cursor); err != nil {
			return err
		}
		return s.lookForMessages(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

// put is PutObjects within a transaction.
func (s *Store) put(ctx context.Context, tx pgx.Tx, collection int32, words map[string]int32, objects []store.Object, cursor string) ([]store.Outcome, error) {
	first, err := s.tick(ctx, tx, len(objects))
	if err != nil {
		return nil, err
	}
	b := sortOut(objects)
	if err := b.compare(ctx, tx, collection); err != nil {
		return nil, err
	}
	if err := b.copy(ctx, tx, collection, words, first); err != nil {
		return nil, err
	}
	if len(b.fresh) == 0 && cursor == "" {
		return b.outcomes, nil
	}
	_, err = tx.Exec(ctx, `INSERT INTO collections AS c (collection, objects, cursor) VALUES ($1, $2, $3) ON CONFLICT (collection) DO UPDATE
		SET objects = c.objects + excluded.objects, cursor = CASE WHEN excluded.cursor = '' THEN c.cursor ELSE excluded.cursor END`,
		collection, int64(len(b.fresh)), []byte(cursor))
	if len(b.fresh) > 0 {
		noteObjects(ctx)
	}
	return b.outcomes, err
}

// wordsOf are the words of a batch, most of which is of few types.
func wordsOf(collection string, objects []store.Object) []string {
	words, seen := []string{collection}, map[string]bool{}
	for i, o := range objects {
		if i > 0 && o.Type == objects[i-1].Type || seen[o.Type] {
			continue
		}
		seen[o.Type] = true
		words = append(words, o.Type)
	}
	return words
}

// key is what an object is told apart by within a collection.
type key struct {
	id      string
	version int64
}

// batch is one PutObjects: its objects, and what becomes of each.
type batch struct {
	objects  []store.Object
	outcomes []store.Outcome
	// first has, of each key, the place of its first object; again the places of
	// later objects with the same key.
	first map[key]int
	again map[key][]int
	// fresh are the places of the objects that are copied in.
	fresh []int
}

func sortOut(objects []store.Object) *batch {
	b := &batch{objects: objects, outcomes: make([]store.Outcome, len(objects)), first: make(map[key]int, len(objects))}
	for i, o := range objects {
		k := key{o.ID, versionMicros(o.Version)}
		if _, ok := b.first[k]; !ok {
			b.first[k] = i
			continue
		}
		if b.again == nil {
			b.again = map[key][]int{}
		}
		b.again[k] = append(b.again[k], i)
	}
	return b
}

// judge sets the outcome of objects by the content that is stored, or will be.
func (b *batch) judge(content []byte, places ...int) {
	for _, i := range places {
		b.outcomes[i] = store.Forked
		if bytes.Equal(content, b.objects[i].Raw) {
			b.outcomes[i] = store.Duplicate
		}
	}
}

// compare finds the versions that are stored already, and judges by them.
func (b *batch) compare(ctx context.Context, tx pgx.Tx, collection int32) error {
	if len(b.objects) == 0 {
		return nil
	}
	ids, versions := make([]string, len(b.objects)), make([]int64, len(b.objects))
	for i, o := range b.objects {
		ids[i], versions[i] = o.ID, versionMicros(o.Version)
	}
	rows, err := tx.Query(ctx, `SELECT u.n, o.raw FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY u (id, version, n)
		CROSS JOIN objects o WHERE o.collection = $1 AND o.stix_id = u.id AND o.version = u.version AND o.spec IN `+allSpecs, collection, ids, versions)
	if err != nil {
		return err
	}
	var n int
	var raw pgtype.DriverBytes
	if _, err := pgx.ForEachRow(rows, []any{&n, &raw}, func() error { b.judge(raw, n-1); return nil }); err != nil {
		return err
	}
	for k, i := range b.first {
		if b.outcomes[i] != 0 {
			continue // it was stored, and with it all that follow with its key
		}
		b.outcomes[i] = store.Added
		b.judge(b.objects[i].Raw, b.again[k]...)
	}
	for i, o := range b.outcomes {
		if o == store.Added {
			b.fresh = append(b.fresh, i)
		}
	}
	return nil
}

// copy adds what is fresh, the i-th object of the batch at position first+i.
func (b *batch) copy(ctx context.Context, tx pgx.Tx, collection int32, words map[string]int32, first int64) error {
	if len(b.fresh) == 0 {
		return nil
	}
	next := 0
	return copyIn(ctx, tx, `COPY objects (seq, version, collection, type, revoked, stix_id, spec, raw) FROM STDIN BINARY`, func(w *copyWriter) bool {
		if next == len(b.fresh) {
			return false
		}
		i := b.fresh[next]
		next++
		o := b.objects[i]
		w.row(8)
		w.int64(first + int64(i))
		w.int64(versionMicros(o.Version))
		w.int32(collection)
		w.int32(words[o.Type])
		w.bool(o.Revoked)
		w.text(o.ID)
		w.text(o.SpecVersion)
		w.bytes(o.Raw)
		return true
	})
}
