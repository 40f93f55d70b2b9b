// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

// TestWhatWasUndoneIsNotWrittenOverWhatAnotherProcessStored undoes a transaction that did not fit into memory, so that
// its pages went to the log already, and lets another process write to the same places of it.
func TestWhatWasUndoneIsNotWrittenOverWhatAnotherProcessStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	for _, statement := range []string{"CREATE TABLE scratch (content BLOB)", "PRAGMA cache_size = 10"} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	fill := func(content string, rows int) string {
		return fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d) INSERT INTO scratch SELECT printf('%%.3000c', '%s') FROM n", rows, content)
	}
	for _, undone := range []int{95, 100, 105} {
		no := errors.New("no")
		if err := s.change(t.Context(), feed, "filling", func(tx *transaction) error {
			_, err := tx.ExecContext(t.Context(), fill("a", undone))
			return errors.Join(err, no)
		}); !errors.Is(err, no) {
			t.Fatal(err)
		}
		raw(t, path, "DELETE FROM scratch", fill("b", 300))
		if err := s.change(t.Context(), feed, "adding", func(tx *transaction) error {
			_, err := tx.ExecContext(t.Context(), fill("c", 1))
			return err
		}); err != nil {
			t.Error(err)
		}
		var b, c int
		if err := s.read.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM scratch WHERE content = printf('%.3000c', 'b')),
			(SELECT count(*) FROM scratch WHERE content = printf('%.3000c', 'c'))`).Scan(&b, &c); err != nil || b != 300 || c != 1 {
			t.Errorf("after %d rows were undone %d of 300 rows and %d of 1 are whole, %v", undone, b, c, err)
		}
	}
}
