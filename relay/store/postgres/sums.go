// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import "context"

// finish writes the sums and moves the progress of the collections.
func (d *deciding) finish(ctx context.Context) error {
	if d.takings > 0 {
		if _, err := d.tx.Exec(ctx, "UPDATE views SET takings = takings + $1 WHERE id = $2", d.takings, d.view); err != nil {
			return err
		}
	}
	collections := map[int32]bool{}
	for g, n := range d.change {
		collections[g.collection] = true
		if n == 0 {
			continue
		}
		if _, err := d.tx.Exec(ctx, `INSERT INTO decision_counts AS c (view, collection, rule, share, reason, records)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (view, collection, rule, share, reason) DO UPDATE SET records = c.records + excluded.records`,
			d.view, g.collection, g.rule, g.share, g.reason, n); err != nil {
			return err
		}
	}
	if _, err := d.tx.Exec(ctx, "DELETE FROM decision_counts WHERE view = $1 AND records = 0", d.view); err != nil {
		return err
	}
	for collection := range collections {
		if err := d.progress(ctx, collection); err != nil {
			return err
		}
	}
	return nil
}

// progress moves to the record before the first undecided one. Each record is
// walked over once for each rule, as the walk begins where the last one ended.
func (d *deciding) progress(ctx context.Context, collection int32) error {
	from, err := decidedTo(ctx, d.tx, d.lens, collection)
	if err != nil {
		return err
	}
	var to int64
	if err := d.tx.QueryRow(ctx, `SELECT coalesce(
		(SELECT o.seq - 1 FROM objects o WHERE o.collection = $1 AND o.seq > $2
			AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.view = $3 AND d.seq = o.seq AND d.rule = $4) ORDER BY o.seq LIMIT 1),
		(SELECT o.seq FROM objects o WHERE o.collection = $1 ORDER BY o.seq DESC LIMIT 1), 0)`,
		collection, from, d.view, d.rule).Scan(&to); err != nil {
		return err
	}
	_, err = d.tx.Exec(ctx, `INSERT INTO decision_progress (view, collection, rule, decided_to) VALUES ($1, $2, $3, $4)
		ON CONFLICT (view, collection) DO UPDATE SET rule = excluded.rule, decided_to = excluded.decided_to`,
		d.view, collection, d.rule, max(from, to))
	return err
}
