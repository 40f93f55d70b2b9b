// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

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

// clause is a part of a statement with its arguments, for each of which a ? stands
// in the text. A list is one argument, so that the text of a statement, which the
// server plans once, does not depend on how many there are.
type clause struct {
	text strings.Builder
	args []any
}

func (c *clause) add(text string, args ...any) {
	c.text.WriteString(text)
	c.args = append(c.args, args...)
}

// sql is the text as the server wants it, with numbered arguments.
func (c *clause) sql() string {
	var numbered strings.Builder
	for i, part := range strings.Split(c.text.String(), "?") {
		if i > 0 {
			numbered.WriteString("$" + strconv.Itoa(i))
		}
		numbered.WriteString(part)
	}
	return numbered.String()
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

// maxWords is the number of words that a replica remembers.
const maxWords = 10_000

// vocabulary remembers the numbers of words. They are never deleted, so what is
// remembered stays true.
type vocabulary struct {
	mu    sync.Mutex // guards what follows
	known map[string]int32
}

func newVocabulary() *vocabulary { return &vocabulary{known: map[string]int32{}} }

func (v *vocabulary) recall(word string) (int32, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id, ok := v.known[word]
	return id, ok
}

func (v *vocabulary) remember(word string, id int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= maxWords {
		clear(v.known)
	}
	v.known[word] = id
}

// find returns the numbers of those words that there are.
func (s *Store) find(ctx context.Context, tx pgx.Tx, words ...string) (map[string]int32, error) {
	found := make(map[string]int32, len(words))
	var unknown []string
	for _, w := range words {
		if id, ok := s.words.recall(w); ok {
			found[w] = id
		} else {
			unknown = append(unknown, w)
		}
	}
	if len(unknown) == 0 {
		return found, nil
	}
	rows, err := tx.Query(ctx, "SELECT word, id FROM words WHERE word = ANY ($1)", unknown)
	if err != nil {
		return nil, err
	}
	var word string
	var id int32
	_, err = pgx.ForEachRow(rows, []any{&word, &id}, func() error {
		found[word] = id
		s.words.remember(word, id)
		return nil
	})
	return found, err
}

// findIDs is find for the numbers alone.
func (s *Store) findIDs(ctx context.Context, tx pgx.Tx, words []string) ([]int32, error) {
	found, err := s.find(ctx, tx, words...)
	if err != nil {
		return nil, err
	}
	ids := make([]int32, 0, len(found))
	for _, w := range words {
		if id, ok := found[w]; ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// learn returns the numbers of words, and gives one to those that have none. It
// is a transaction of its own, before the one that uses them: a word that nothing
// uses is no effect, and no change waits for another because of a word.
func (s *Store) learn(ctx context.Context, doing string, words ...string) (map[string]int32, error) {
	slices.Sort(words) // two replicas lock new words in the same order
	words = slices.Compact(words)
	found, err := s.known(ctx, doing, words)
	if err != nil || len(found) == len(words) {
		return found, err
	}
	missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool { _, ok := found[w]; return ok })
	err = s.change(ctx, s.bulk, doing, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO words (word) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", missing)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.known(ctx, doing, words)
}

// known returns the numbers of those words that have one, mostly from memory.
func (s *Store) known(ctx context.Context, doing string, words []string) (map[string]int32, error) {
	found := make(map[string]int32, len(words))
	for _, w := range words {
		if id, ok := s.words.recall(w); ok {
			found[w] = id
		}
	}
	if len(found) == len(words) {
		return found, nil
	}
	err := s.look(ctx, s.bulk, doing, func(ctx context.Context, tx pgx.Tx) (err error) {
		found, err = s.find(ctx, tx, words...)
		return err
	})
	return found, err
}

// tick gives out n positions and returns the first: unique, growing, and never
// before the clock's time. The clock's row stays locked until the transaction
// ends. The next one to tick therefore begins behind this one's commit, and
// whoever sees its positions sees all smaller ones.
func (s *Store) tick(ctx context.Context, tx pgx.Tx, n int) (first int64, err error) {
	var now *int64
	if s.own {
		us := s.now().UnixMicro()
		now = &us
	}
	err = tx.QueryRow(ctx, `UPDATE clock SET last = greatest(last, coalesce($2::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) - 1) + $1
		RETURNING last - $1 + 1`, int64(n), now).Scan(&first)
	return first, err
}
