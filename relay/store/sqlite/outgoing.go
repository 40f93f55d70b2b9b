// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// HandOut implements store.Outgoing. The page is read beside the writers, and again
// only if something was taken back since: then among them.
//
//	read page → mark its end as handed out, unless something was taken back → return
//
// A crash in between leaves a mark for a page that did not leave: a notice too much.
func (s *Store) HandOut(ctx context.Context, v store.View, collections []string, q store.Query) (store.Page, error) {
	if q.NoContent {
		return s.ListView(ctx, v, collections, q)
	}
	if err := checkQuery(q, len(collections)); err != nil {
		return store.Page{}, fmt.Errorf("handing out: %w", err)
	}
	var (
		page            store.Page
		handed, takings int64
	)
	err := s.look(ctx, "handing out", func(tx *transaction) (err error) {
		if page, err = viewPage(ctx, tx, v, collections, q); err == nil {
			handed, takings, err = marks(ctx, tx, v)
		}
		return err
	})
	if err != nil || len(page.Records) == 0 || lastPosition(page) <= handed {
		return page, err
	}
	err = s.change(ctx, feed, "handing out", func(tx *transaction) error {
		_, now, err := marks(ctx, tx, v)
		if err == nil && now != takings {
			page, err = viewPage(ctx, tx, v, collections, q)
		}
		if err != nil || len(page.Records) == 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE views SET handed_to = max(handed_to, ?) WHERE feed = ? AND peer = ?", lastPosition(page), v.Feed, v.Peer)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

func viewPage(ctx context.Context, tx *transaction, v store.View, collections []string, q store.Query) (store.Page, error) {
	c, err := selectView(ctx, tx, v, collections, q)
	if err != nil || c == nil {
		return store.Page{}, err
	}
	return c.page(ctx, tx, q.Limit)
}

func lastPosition(p store.Page) int64 { return p.Records[len(p.Records)-1].DateAdded.UnixMicro() }

func marks(ctx context.Context, tx *transaction, v store.View) (handed, takings int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT handed_to, takings FROM views WHERE feed = ? AND peer = ?", v.Feed, v.Peer).Scan(&handed, &takings)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return handed, takings, err
}

// Lapsed implements store.Outgoing.
func (s *Store) Lapsed(ctx context.Context, v store.View, collections []string, now time.Time, limit int) ([]store.Record, error) {
	if err := checkQuery(store.Query{Limit: limit}, len(collections)); err != nil {
		return nil, fmt.Errorf("listing lapsed decisions: %w", err)
	}
	var found []store.Record
	err := s.look(ctx, "listing lapsed decisions", func(tx *transaction) error {
		l, err := findLens(ctx, tx, v, collections)
		if err != nil || l.view == 0 || len(l.collections) == 0 {
			return err
		}
		var c clause
		c.add(`SELECT o.seq, o.seq, o.stix_id, o.version, o.type, o.spec, o.raw, o.collection, 0 FROM decisions d INDEXED BY decisions_lapsing
			CROSS JOIN objects o ON o.seq = d.seq
			WHERE d.view = ? AND d.until > 0 AND d.until <= ? AND d.rule IN (?, ?)`, l.view, now.UnixMicro(), l.rule, int64(lapsed))
		in(&c, "d.collection", l.collections)
		c.add(" ORDER BY d.until, d.seq LIMIT ?", limit)
		page, err := readPage(ctx, tx, &c, limit)
		found = page.Records
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b store.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return found, nil
}

// UndecidedRevoked implements store.Outgoing.
func (s *Store) UndecidedRevoked(ctx context.Context, v store.View, collections []string, after int64, limit int) ([]store.Record, error) {
	if err := checkQuery(store.Query{Limit: limit}, len(collections)); err != nil {
		return nil, fmt.Errorf("listing undecided revocations: %w", err)
	}
	var found []store.Record
	err := s.look(ctx, "listing undecided revocations", func(tx *transaction) error {
		l, err := findLens(ctx, tx, v, collections)
		if err != nil {
			return err
		}
		for _, collection := range l.collections {
			// What is decided is not looked at again.
			from, err := decidedTo(ctx, tx, l, collection)
			if err != nil {
				return err
			}
			var c clause
			c.add(`SELECT o.seq, o.seq, o.stix_id, o.version, o.type, o.spec, o.raw, o.collection, 0 FROM objects o INDEXED BY objects_revoked
				WHERE o.collection = ? AND o.revoked = 1 AND o.seq > ?
				AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.view = ? AND d.seq = o.seq AND d.rule = ?)
				ORDER BY o.seq LIMIT ?`, collection, max(after, from), l.view, l.rule, limit)
			page, err := readPage(ctx, tx, &c, limit)
			if err != nil {
				return err
			}
			found = append(found, page.Records...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b store.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return found[:min(limit, len(found))], nil
}

// SharedFrom implements store.Outgoing.
func (s *Store) SharedFrom(ctx context.Context, feed, peer string) ([]string, error) {
	var found []string
	err := s.look(ctx, "listing what is shared", func(tx *transaction) error {
		rows, err := tx.QueryContext(ctx, `SELECT DISTINCT w.word FROM views v CROSS JOIN decision_counts c ON c.view = v.id CROSS JOIN words w ON w.id = c.collection
			WHERE v.feed = ? AND v.peer = ? AND c.share = 1 AND c.records > 0 ORDER BY w.word`, feed, peer)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			found = append(found, name)
		}
		return rows.Err()
	})
	return found, err
}
