// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// AdmitTypes implements store.Objects. What a look tells is enough when nothing is to be written. One
// transaction otherwise, which holds the clock's row: replicas admit one after the other. A crash leaves
// all that was admitted by it, or words that no collection has yet.
func (s *Store) AdmitTypes(ctx context.Context, collection string, types []string) (refused []string, err error) {
	const doing = "admitting types of objects"
	if len(types) > store.MaxRecords {
		return nil, fmt.Errorf("%s: %d at once are more than %d", doing, len(types), store.MaxRecords)
	}
	missing := slices.Compact(slices.Sorted(slices.Values(types)))
	var room int
	err = s.look(ctx, s.bulk, doing, func(ctx context.Context, tx pgx.Tx) (err error) {
		missing, room, err = missingTypes(ctx, tx, collection, missing)
		return err
	})
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	if room == 0 {
		return missing, nil
	}
	words, err := s.learn(ctx, doing, append([]string{collection}, missing[:min(room, len(missing))]...)...)
	if err != nil {
		return nil, err
	}
	err = s.changeFeeds(ctx, doing, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := s.tick(ctx, tx, 0); err != nil {
			return err
		}
		missing, room, err := missingTypes(ctx, tx, collection, missing) // another replica may have been faster
		if err != nil {
			return err
		}
		var fresh []int32
		refused = nil
		for _, t := range missing {
			if id, learned := words[t]; learned && len(fresh) < room {
				fresh = append(fresh, id)
			} else {
				refused = append(refused, t)
			}
		}
		_, err = tx.Exec(ctx, "INSERT INTO collection_types (collection, type) SELECT $1, unnest($2::int[])", words[collection], fresh)
		return err
	})
	return refused, err
}

// missingTypes are those of the types that the collection does not have; there is room for so many more.
func missingTypes(ctx context.Context, tx pgx.Tx, collection string, types []string) (missing []string, room int, err error) {
	var has int
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM collection_types c JOIN words w ON w.id = c.collection WHERE w.word = $1", collection).Scan(&has); err != nil {
		return nil, 0, err
	}
	rows, err := tx.Query(ctx, `SELECT u.word FROM unnest($2::text[]) u (word) WHERE NOT EXISTS (SELECT 1 FROM words n JOIN collection_types c ON c.collection = n.id
		JOIN words t ON t.id = c.type WHERE n.word = $1 AND t.word = u.word) ORDER BY u.word COLLATE "C"`, collection, types)
	if err != nil {
		return nil, 0, err
	}
	missing, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return missing, max(0, store.MaxTypes-has), err
}
