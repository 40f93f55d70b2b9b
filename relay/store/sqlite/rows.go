// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"slices"
	"strings"
)

// mostRows of the hotline are inserted by one statement: half of what a row costs is the
// beginning and the end of its statement.
const mostRows = 64

// insertsOf are statements that insert 1, 2, 4 … mostRows rows of so many columns, before which they have fixed values. With OR
// ROLLBACK SQLite need not be able to undo the statement alone: one that fails undoes the
// transaction, as it would be in any case.
func insertsOf(into string, columns int, fixed string) (texts []string) {
	row := "(" + fixed + "?" + strings.Repeat(",?", columns-1) + ")"
	for n := 1; n <= mostRows; n *= 2 {
		texts = append(texts, "INSERT OR ROLLBACK INTO "+into+" VALUES "+row+strings.Repeat(","+row, n-1))
	}
	return texts
}

// insertRows inserts rows of so many columns, one after the other in values: int64, string, bytes or nil. After an error the
// transaction is undone: nothing may follow.
func (l *lineTx) insertRows(texts []string, columns int, values []any) error {
	for i, text := range slices.Backward(texts) {
		for size := columns << i; len(values) >= size; values = values[size:] {
			if err := l.raw.insert(l.ctx, text, values[:size]); err != nil {
				return err
			}
		}
	}
	return nil
}
