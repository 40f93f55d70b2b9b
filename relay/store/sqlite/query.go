// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// noVersion stands for an object without a version.
const noVersion = math.MinInt64

// micros is a time as stored; 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant is the time of stored microseconds; the zero time for 0.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func versionMicros(t time.Time) int64 {
	if t.IsZero() {
		return noVersion
	}
	return t.UnixMicro()
}

func versionTime(us int64) time.Time {
	if us == noVersion {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// clause is a part of a statement with its arguments.
type clause struct {
	text strings.Builder
	args []any
}

func (c *clause) add(text string, args ...any) {
	c.text.WriteString(text)
	c.args = append(c.args, args...)
}

// in adds " AND column IN (…)".
func in[T any](c *clause, column string, values []T) {
	c.text.WriteString(" AND " + column)
	among(c, values)
}

// among adds " IN (…)".
func among[T any](c *clause, values []T) {
	c.text.WriteString(" IN (" + strings.TrimSuffix(strings.Repeat("?,", len(values)), ",") + ")")
	for _, v := range values {
		c.args = append(c.args, v)
	}
}

func checkLimit(limit, most int) error {
	if limit < 1 || limit > most {
		return fmt.Errorf("limit %d is not within 1 to %d", limit, most)
	}
	return nil
}

func checkQuery(q store.Query, collections int) error {
	if err := checkLimit(q.Limit, store.MaxRecords); err != nil {
		return err
	}
	if n := max(len(q.IDs), len(q.Types), len(q.Specs), len(q.Versions.At), collections); n > store.MaxSelectors {
		return fmt.Errorf("%d ids, types, versions or collections are more than %d", n, store.MaxSelectors)
	}
	return nil
}

// after is the position behind which a query selects.
func after(q store.Query) int64 {
	return max(q.After, micros(q.AddedAfter))
}

// wordID returns the number of a word, 0 if there is none.
func wordID(ctx context.Context, tx *transaction, word string) (int64, error) {
	var id int64
	err := tx.QueryRowContext(ctx, "SELECT id FROM words WHERE word = ?", word).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// wordIDs returns the numbers of those words that there are.
func wordIDs(ctx context.Context, tx *transaction, words []string) ([]int64, error) {
	ids := make([]int64, 0, len(words))
	for _, w := range words {
		id, err := wordID(ctx, tx, w)
		if err != nil {
			return nil, err
		}
		if id != 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// vocabulary numbers words within one write transaction.
type vocabulary struct {
	tx    *transaction
	known map[string]int64
}

func newVocabulary(tx *transaction) *vocabulary {
	return &vocabulary{tx: tx, known: map[string]int64{}}
}

func (v *vocabulary) id(ctx context.Context, word string) (int64, error) {
	if id := v.known[word]; id != 0 {
		return id, nil
	}
	id, err := wordID(ctx, v.tx, word)
	if err == nil && id == 0 {
		var res sql.Result
		if res, err = v.tx.ExecContext(ctx, "INSERT INTO words (word) VALUES (?)", word); err == nil {
			id, err = res.LastInsertId()
		}
	}
	if err != nil {
		return 0, err
	}
	v.known[word] = id
	return id, nil
}

// ticker gives out positions within one write transaction: unique, growing, and
// never before the clock's time.
type ticker struct {
	tx    *transaction
	last  int64
	moved bool
}

func (s *Store) newTicker(ctx context.Context, tx *transaction) (*ticker, error) {
	t := &ticker{tx: tx}
	if err := tx.QueryRowContext(ctx, "SELECT last FROM clock").Scan(&t.last); err != nil {
		return nil, err
	}
	t.last = max(t.last, s.now().UnixMicro()-1)
	return t, nil
}

func (t *ticker) next() int64 {
	t.last++
	t.moved = true
	return t.last
}

// save must follow the last next.
func (t *ticker) save(ctx context.Context) error {
	if !t.moved {
		return nil
	}
	_, err := t.tx.ExecContext(ctx, "UPDATE clock SET last = ?", t.last)
	return err
}
