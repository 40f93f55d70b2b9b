// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// PutReferences implements store.Outgoing.
func (s *Store) PutReferences(ctx context.Context, collection string, references []store.Reference) error {
	if len(references) > store.MaxRecords {
		return fmt.Errorf("storing references: %d at once are more than %d", len(references), store.MaxRecords)
	}
	if len(references) == 0 {
		return nil
	}
	if err := s.keepReserve(2, int64(len(references))*decisionWrite); err != nil {
		return fmt.Errorf("storing references: %w", err)
	}
	return s.change(ctx, feed, "storing references", func(tx *transaction) error {
		number, err := newVocabulary(tx).id(ctx, collection)
		if err != nil {
			return err
		}
		for _, r := range references {
			res, err := tx.ExecContext(ctx, "INSERT INTO object_references (collection, to_id, kind, from_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
				number, r.To, r.Kind, r.From)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err == nil && n > 0 {
				err = lapse(ctx, tx, number, r.To)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// ReferencesTo implements store.Outgoing.
func (s *Store) ReferencesTo(ctx context.Context, collection string, to []string, limit int) ([]store.Reference, error) {
	if err := checkQuery(store.Query{IDs: to, Limit: limit}, 1); err != nil {
		return nil, fmt.Errorf("listing references: %w", err)
	}
	var found []store.Reference
	err := s.look(ctx, "listing references", func(tx *transaction) error {
		number, err := wordID(ctx, tx, collection)
		if err != nil || number == 0 || len(to) == 0 {
			return err
		}
		var c clause
		c.add("SELECT kind, from_id, to_id FROM object_references WHERE collection = ?", number)
		in(&c, "to_id", to)
		c.add(" ORDER BY to_id, kind, from_id LIMIT ?", limit)
		rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r store.Reference
			if err := rows.Scan(&r.Kind, &r.From, &r.To); err != nil {
				return err
			}
			found = append(found, r)
		}
		return rows.Err()
	})
	return found, err
}
