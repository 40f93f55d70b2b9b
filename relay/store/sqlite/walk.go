// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/certlink/certlink/relay/store"
)

// maxWalk is the number of records that one page looks at. A page that selects
// few of many ends there, so that no question holds a reader for long.
const maxWalk = store.MaxRecords

// selection is the statement of a page, with the columns of readPage.
type selection struct {
	clause
	// end is the position of the last record that the page looks at, if others
	// follow; else 0.
	end int64
}

// walkEnd finds where a page that selects must end: positions is a statement that
// lists the positions that it would go along.
func walkEnd(ctx context.Context, tx *transaction, q store.Query, positions string, args ...any) (int64, error) {
	selects := len(q.Types) > 0 || len(q.Specs) > 0 || q.NewestSpec || !q.Versions.All()
	if !selects || len(q.IDs) > 0 {
		return 0, nil
	}
	var end int64
	err := tx.QueryRowContext(ctx, positions+" LIMIT 1 OFFSET ?", append(args, maxWalk-1)...).Scan(&end)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return end, err
}

// page reads the page. If it is not full it goes on where the walk has ended.
func (s *selection) page(ctx context.Context, tx *transaction, limit int) (store.Page, error) {
	page, err := readPage(ctx, tx, &s.clause, limit)
	if page.Next == 0 && err == nil {
		page.Next = s.end
	}
	return page, err
}
