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

// insertsOf are statements that insert 1, 2, 4 … mostRows rows of so many columns. With OR
// ROLLBACK SQLite need not be able to undo the statement alone: one that fails undoes the
// transaction, as it would be in any case.
func insertsOf(into string, columns int) (texts []string) {
	row := "(?" + strings.Repeat(",?", columns-1) + ")"
	for n := 1; n <= mostRows; n *= 2 {
		texts = append(texts, "INSERT OR ROLLBACK INTO "+into+" VALUES "+row+strings.Repeat(","+row, n-1))
	}
	return texts
}

// insertRows inserts n rows; row appends the values of one. After an error the transaction is
// undone: nothing may follow.
func (l *lineTx) insertRows(texts []string, n int, row func(args []any, i int) []any) error {
	first := 0
	for i, text := range slices.Backward(texts) {
		for ; n-first >= 1<<i; first += 1 << i {
			l.args = l.args[:0]
			for at := first; at < first+1<<i; at++ {
				l.args = row(l.args, at)
			}
			if _, err := l.raw.ExecContext(l.ctx, text, l.args...); err != nil {
				return err
			}
		}
	}
	return nil
}
