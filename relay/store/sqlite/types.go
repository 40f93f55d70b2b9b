// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// AdmitTypes implements store.Objects. What a look tells is enough when nothing is to be written. One
// transaction otherwise: a crash leaves all that was admitted by it, or nothing.
func (s *Store) AdmitTypes(ctx context.Context, collection string, types []string) (refused []string, err error) {
	const doing = "admitting types of objects"
	if len(types) > store.MaxRecords {
		return nil, fmt.Errorf("%s: %d at once are more than %d", doing, len(types), store.MaxRecords)
	}
	missing := slices.Compact(slices.Sorted(slices.Values(types)))
	var room int
	err = s.look(ctx, doing, func(tx *transaction) (err error) {
		missing, room, err = missingTypes(ctx, tx, collection, missing)
		return err
	})
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	if room == 0 {
		return missing, nil
	}
	if err := s.keepReserve(1, usualWrite); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	err = s.change(ctx, feed, doing, func(tx *transaction) error {
		missing, room, err := missingTypes(ctx, tx, collection, missing) // somebody may have been faster
		if err != nil {
			return err
		}
		fresh := missing[:min(room, len(missing))]
		refused = append([]string(nil), missing[len(fresh):]...)
		words := newVocabulary(tx)
		id, err := words.id(ctx, collection)
		if err != nil {
			return err
		}
		for _, t := range fresh {
			number, err := words.id(ctx, t)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO collection_types (collection, type) VALUES (?, ?)", id, number); err != nil {
				return err
			}
		}
		return nil
	})
	return refused, err
}

// missingTypes are those of the types that the collection does not have; there is room for so many more.
func missingTypes(ctx context.Context, tx *transaction, collection string, types []string) (missing []string, room int, err error) {
	id, err := wordID(ctx, tx, collection)
	if err != nil {
		return nil, 0, err
	}
	var has int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM collection_types WHERE collection = ?", id).Scan(&has); err != nil {
		return nil, 0, err
	}
	for _, t := range types {
		var known bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM collection_types WHERE collection = ? AND type = (SELECT id FROM words WHERE word = ?))", id, t).Scan(&known)
		if err != nil {
			return nil, 0, err
		}
		if !known {
			missing = append(missing, t)
		}
	}
	return missing, max(0, store.MaxTypes-has), nil
}
