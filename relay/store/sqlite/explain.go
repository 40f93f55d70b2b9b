// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// Explain implements store.Views.
func (s *Store) Explain(ctx context.Context, v store.View, collections []string, id string, limit int) ([]store.Explained, error) {
	if err := checkQuery(store.Query{Limit: limit}, len(collections)); err != nil {
		return nil, fmt.Errorf("explaining an object: %w", err)
	}
	var found []store.Explained
	err := s.look(ctx, "explaining an object", func(tx *transaction) error {
		l, err := findLens(ctx, tx, v, collections)
		if err != nil || len(l.collections) == 0 {
			return err
		}
		found, err = explained(ctx, tx, l, id, limit)
		return err
	})
	return found, err
}

func explained(ctx context.Context, tx *transaction, l lens, id string, limit int) ([]store.Explained, error) {
	var c clause
	c.add(`SELECT o.seq, o.stix_id, o.version, t.word, o.spec, n.word, coalesce(r.word, ''), coalesce(d.share, 0), coalesce(w.word, ''), coalesce(d.added, 0),
		coalesce(d.decided, 0), coalesce(d.until, 0), coalesce(f.word, ''), coalesce(v.evidence, '')
		FROM objects o INDEXED BY objects_by_key CROSS JOIN words t ON t.id = o.type CROSS JOIN words n ON n.id = o.collection
		LEFT JOIN decisions d ON d.view = ? AND d.seq = o.seq LEFT JOIN words r ON r.id = d.rule LEFT JOIN words w ON w.id = d.reason
		LEFT JOIN words f ON f.id = d.form LEFT JOIN decision_evidence v ON v.view = d.view AND v.seq = d.seq
		WHERE o.key = ? AND o.stix_id = ?`, l.view, keyOf(id), id)
	in(&c, "o.collection", l.collections)
	c.add(" ORDER BY o.version, o.seq LIMIT ?", limit)
	rows, err := tx.QueryContext(ctx, c.text.String(), c.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []store.Explained
	for rows.Next() {
		var e store.Explained
		var version, added, decided, until int64
		if err := rows.Scan(&e.Seq, &e.ID, &version, &e.Type, &e.SpecVersion, &e.Collection, &e.Rule, &e.Share, &e.Reason, &added,
			&decided, &until, &e.Form, &e.Evidence); err != nil {
			return nil, err
		}
		e.DateAdded, e.Version, e.SharedAt = instant(e.Seq), versionTime(version), instant(added)
		e.DecidedAt, e.Until = instant(decided), instant(until)
		found = append(found, e)
	}
	return found, rows.Err()
}
