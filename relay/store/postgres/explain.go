// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// Explain implements store.Views.
func (s *Store) Explain(ctx context.Context, v store.View, collections []string, id string, limit int) ([]store.Explained, error) {
	if err := checkQuery(store.Query{Limit: limit}, len(collections)); err != nil {
		return nil, fmt.Errorf("explaining an object: %w", err)
	}
	var found []store.Explained
	err := s.look(ctx, s.bulk, "explaining an object", func(ctx context.Context, tx pgx.Tx) error {
		l, err := s.findLens(ctx, tx, v, collections)
		if err != nil || len(l.collections) == 0 {
			return err
		}
		found, err = explained(ctx, tx, l, id, limit)
		return err
	})
	return found, err
}

func explained(ctx context.Context, tx pgx.Tx, l lens, id string, limit int) ([]store.Explained, error) {
	rows, err := tx.Query(ctx, `SELECT o.seq, o.stix_id, o.version, t.word, o.spec, n.word, coalesce(r.word, ''), coalesce(d.share, false),
		coalesce(w.word, ''), coalesce(d.added, 0), coalesce(d.decided, 0), coalesce(d.until, 0), coalesce(f.word, ''), coalesce(v.evidence, '')
		FROM objects o JOIN words t ON t.id = o.type JOIN words n ON n.id = o.collection
		LEFT JOIN decisions d ON d.view = $1 AND d.seq = o.seq LEFT JOIN words r ON r.id = d.rule LEFT JOIN words w ON w.id = d.reason
		LEFT JOIN words f ON f.id = d.form LEFT JOIN decision_evidence v ON v.view = d.view AND v.seq = d.seq
		WHERE o.stix_id = $2 AND o.collection = ANY ($3) ORDER BY o.version, o.seq LIMIT $4`, l.view, id, l.collections, limit)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]store.Explained(nil), rows, func(row pgx.CollectableRow) (e store.Explained, err error) {
		var version, added, decided, until int64
		var evidence []byte
		err = row.Scan(&e.Seq, &e.ID, &version, &e.Type, &e.SpecVersion, &e.Collection, &e.Rule, &e.Share, &e.Reason, &added,
			&decided, &until, &e.Form, &evidence)
		e.DateAdded, e.Version, e.SharedAt = instant(e.Seq), versionTime(version), instant(added)
		e.DecidedAt, e.Until, e.Evidence = instant(decided), instant(until), string(evidence)
		return e, err
	})
}
