// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// HandOut implements store.Outgoing. The page is read beside the writers, and again
// only if something was taken back since: then while the view is locked.
//
//	read page → lock the view → mark its end as handed out, unless something was taken back → return
//
// A crash in between leaves a mark for a page that did not leave: a notice too much.
func (s *Store) HandOut(ctx context.Context, v store.View, collections []string, q store.Query) (store.Page, error) {
	const doing = "handing out"
	if q.NoContent {
		return s.ListView(ctx, v, collections, q)
	}
	if err := checkQuery(q, len(collections)); err != nil {
		return store.Page{}, fmt.Errorf("%s: %w", doing, err)
	}
	var page store.Page
	var then marks
	err := s.look(ctx, s.bulk, doing, func(ctx context.Context, tx pgx.Tx) (err error) {
		if page, err = s.viewPage(ctx, tx, v, collections, q); err == nil {
			then, err = readMarks(ctx, tx, v, "")
		}
		return err
	})
	if err != nil || len(page.Records) == 0 || lastPosition(page) <= then.handed {
		return page, err
	}
	// It needs no position, and does not wait for the writers of objects.
	err = s.change(ctx, s.bulk, doing, func(ctx context.Context, tx pgx.Tx) error {
		now, err := readMarks(ctx, tx, v, " FOR UPDATE")
		if err == nil && now.takings != then.takings {
			page, err = s.viewPage(ctx, tx, v, collections, q)
		}
		if err != nil || len(page.Records) == 0 {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE views SET handed_to = greatest(handed_to, $1) WHERE feed = $2 AND peer = $3", lastPosition(page), v.Feed, v.Peer)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

func lastPosition(p store.Page) int64 { return p.Records[len(p.Records)-1].DateAdded.UnixMicro() }

// marks of a view: how far it was handed out, and how often something was taken back.
type marks struct{ handed, takings int64 }

func readMarks(ctx context.Context, tx pgx.Tx, v store.View, lock string) (m marks, err error) {
	err = tx.QueryRow(ctx, "SELECT handed_to, takings FROM views WHERE feed = $1 AND peer = $2"+lock, v.Feed, v.Peer).Scan(&m.handed, &m.takings)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return m, err
}

// wholeRecord are the columns of a selection with content over objects o, words t and n.
const wholeRecord = `o.seq, o.seq AS position, o.stix_id, o.version, t.word AS type, o.spec, n.word AS collection, '' AS form, octet_length(o.raw) AS size, o.raw`

// Lapsed implements store.Outgoing.
func (s *Store) Lapsed(ctx context.Context, v store.View, collections []string, now time.Time, limit int) ([]store.Record, error) {
	if err := checkQuery(store.Query{Limit: limit}, len(collections)); err != nil {
		return nil, fmt.Errorf("listing lapsed decisions: %w", err)
	}
	var found []store.Record
	err := s.look(ctx, s.bulk, "listing lapsed decisions", func(ctx context.Context, tx pgx.Tx) error {
		l, err := s.findLens(ctx, tx, v, collections)
		if err != nil || l.view == 0 || len(l.collections) == 0 {
			return err
		}
		c := selection{content: true}
		c.add("SELECT "+wholeRecord+` FROM decisions d CROSS JOIN objects o CROSS JOIN words t CROSS JOIN words n
			WHERE o.seq = d.seq AND t.id = o.type AND n.id = o.collection AND d.view = ? AND d.until > 0 AND d.until <= ? AND d.rule = ANY (?)
			AND d.collection = ANY (?) ORDER BY d.until, d.seq LIMIT ?`, l.view, now.UnixMicro(), []int32{l.rule, lapsed}, l.collections, limit)
		page, err := c.read(ctx, tx, limit)
		found = page.Records
		return err
	})
	return found, err
}

// UndecidedRevoked implements store.Outgoing.
func (s *Store) UndecidedRevoked(ctx context.Context, v store.View, collections []string, after int64, limit int) ([]store.Record, error) {
	if err := checkQuery(store.Query{Limit: limit}, len(collections)); err != nil {
		return nil, fmt.Errorf("listing undecided revocations: %w", err)
	}
	var found []store.Record
	err := s.look(ctx, s.bulk, "listing undecided revocations", func(ctx context.Context, tx pgx.Tx) error {
		l, err := s.findLens(ctx, tx, v, collections)
		if err != nil {
			return err
		}
		for _, collection := range l.collections {
			// What is decided is not looked at again.
			from, err := decidedTo(ctx, tx, l, collection)
			if err != nil {
				return err
			}
			part, err := undecidedAfter(ctx, tx, l, collection, max(after, from), " AND o.revoked", limit)
			if err != nil {
				return err
			}
			found = append(found, part...)
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
	err := s.look(ctx, s.bulk, "listing what is shared", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT w.word FROM words w WHERE w.id = ANY (ARRAY(SELECT DISTINCT c.collection FROM views v CROSS JOIN decision_counts c
			WHERE c.view = v.id AND v.feed = $1 AND v.peer = $2 AND c.share AND c.records > 0))`, feed, peer)
		if err == nil {
			found, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	slices.Sort(found)
	return found, err
}
