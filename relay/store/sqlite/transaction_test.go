// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// endless is a statement that goes on until it is interrupted.
const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

// openScratch is open for a store with a table of numbers, and ten of them.
func openScratch(t *testing.T) *Store {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	for _, statement := range []string{"CREATE TABLE scratch (n INTEGER)", "INSERT INTO scratch VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)"} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// wantScratch checks how many numbers there are, that no connection is kept, and that the next change is made.
func wantScratch(t *testing.T, s *Store, want int) {
	t.Helper()
	for name, db := range map[string]*sql.DB{"write": s.write, "read": s.read} {
		if n := db.Stats().InUse; n != 0 {
			t.Fatalf("%d connections to %s were not given back", n, name)
		}
	}
	count := func(db *sql.DB) (n int) {
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM scratch").Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	if n := count(s.read); n != want {
		t.Errorf("%d numbers are stored, want %d", n, want)
	}
	if err := s.change(t.Context(), feed, "adding", add(t, "1000")); err != nil {
		t.Error(err)
	}
	if n := count(s.read); n != want+1 {
		t.Errorf("%d numbers are stored after the next change, want %d", n, want+1)
	}
}

func add(t *testing.T, number string) func(tx *transaction) error {
	t.Helper()
	return func(tx *transaction) error {
		_, err := tx.ExecContext(t.Context(), "INSERT INTO scratch VALUES ("+number+")")
		return err
	}
}

func TestATransactionEndsWhatIsStillBeingReadInIt(t *testing.T) {
	no := errors.New("no")
	for name, c := range map[string]struct {
		run    func(s *Store, f func(tx *transaction) error) error
		adds   bool
		result error
		want   int
	}{
		"committed": {func(s *Store, f func(tx *transaction) error) error { return s.change(t.Context(), feed, "changing", f) }, true, nil, 11},
		"undone":    {func(s *Store, f func(tx *transaction) error) error { return s.change(t.Context(), feed, "changing", f) }, true, no, 10},
		"read":      {func(s *Store, f func(tx *transaction) error) error { return s.look(t.Context(), "reading", f) }, false, nil, 10},
	} {
		t.Run(name, func(t *testing.T) {
			s := openScratch(t)
			var open []*sql.Rows
			err := c.run(s, func(tx *transaction) error {
				for range 3 * usuallyRead { // more than it remembers at first
					rows, err := tx.QueryContext(t.Context(), "SELECT n FROM scratch ORDER BY n") //nolint:sqlclosecheck,rowserrcheck // that is what is tested
					if err != nil || !rows.Next() {
						return errors.Join(err, errors.New("nothing to read"))
					}
					open = append(open, rows)
					_ = tx.QueryRowContext(t.Context(), "SELECT n FROM scratch") // and never scanned
				}
				if c.adds {
					return errors.Join(add(t, "10")(tx), c.result)
				}
				return c.result
			})
			if !errors.Is(err, c.result) {
				t.Errorf("error is %v, want %v", err, c.result)
			}
			for _, rows := range open {
				if rows.Next() {
					t.Error("it is read after the transaction")
				}
			}
			wantScratch(t, s, c.want)
		})
	}
}

func TestATransactionIsUndoneWhenItsContextEnds(t *testing.T) {
	for name, statement := range map[string]func(ctx context.Context, tx *transaction) error{
		"while something is written": func(ctx context.Context, tx *transaction) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO scratch "+endless)
			return err
		},
		"while something is read": func(ctx context.Context, tx *transaction) error {
			rows, err := tx.QueryContext(t.Context(), "SELECT n FROM scratch") //nolint:sqlclosecheck,rowserrcheck // another one that is being read
			if err != nil || !rows.Next() {
				return errors.Join(err, errors.New("nothing to read"))
			}
			var n int
			return tx.QueryRowContext(ctx, endless).Scan(&n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openScratch(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := s.change(ctx, feed, "changing", func(tx *transaction) error {
				if err := add(t, "10")(tx); err != nil {
					return err
				}
				time.AfterFunc(10*time.Millisecond, cancel)
				return statement(ctx, tx)
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
			wantScratch(t, s, 10)
		})
	}
}

func TestATransactionThatPanicsGivesItsConnectionBack(t *testing.T) {
	s := openScratch(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nobody learns of the panic")
			}
		}()
		_ = s.change(t.Context(), feed, "changing", func(tx *transaction) error {
			rows, err := tx.QueryContext(t.Context(), "SELECT n FROM scratch") //nolint:sqlclosecheck,rowserrcheck // it is being read
			if err != nil || !rows.Next() {
				t.Error("nothing to read", err)
			}
			if err := add(t, "10")(tx); err != nil {
				t.Error(err)
			}
			panic("on purpose")
		})
	}()
	wantScratch(t, s, 10)
}

func TestATransactionThatCannotBeginGivesItsConnectionBack(t *testing.T) {
	s := openScratch(t)
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	other, err := openDB(dsn(s.path, "immediate"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	tx, err := begin(t.Context(), other, sqlBeginWriting)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.change(t.Context(), feed, "changing", add(t, "10")); !isBusy(err) {
		t.Errorf("error is %v", err)
	}
	tx.end()
	wantScratch(t, s, 10)
}

// TestATransactionThatCannotEndDoesNotHinderTheNext: a connection that may still be inside is given up.
func TestATransactionThatCannotEndDoesNotHinderTheNext(t *testing.T) {
	for name, fail := range map[string][]string{"the_commit_and_the_rollback": {sqlCommit, sqlRollback}, "the_rollback": {sqlRollback}} {
		t.Run(name, func(t *testing.T) {
			scratch := openScratch(t)
			left := fail
			s := openBreakingAt(t, scratch.path, time.Now, func(query string) bool {
				if len(left) == 0 || query != left[0] {
					return false
				}
				left = left[1:]
				return true
			})
			if err := s.change(t.Context(), feed, "changing", func(tx *transaction) error {
				if err := add(t, "10")(tx); err != nil || len(fail) > 1 {
					return err
				}
				return errOnPurpose
			}); !errors.Is(err, errOnPurpose) || len(left) > 0 {
				t.Errorf("error is %v, and %q did not fail", err, left)
			}
			wantScratch(t, s, 10)
		})
	}
}

// TestWhatIsLeftOfATransactionDoesNothing: what a caller keeps of a transaction must not become one of the next.
func TestWhatIsLeftOfATransactionDoesNothing(t *testing.T) {
	s := openScratch(t)
	var left *transaction
	var line store.LineTx
	if err := errors.Join(
		s.change(t.Context(), feed, "changing", func(tx *transaction) error { left = tx; return nil }),
		s.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error { line = tx; return nil }),
	); err != nil {
		t.Fatal(err)
	}
	if err := s.change(t.Context(), feed, "changing", func(*transaction) error {
		for name, err := range map[string]error{
			"a write":   add(t, "10")(left),
			"a read":    left.QueryRowContext(t.Context(), "SELECT n FROM scratch").Scan(new(int)),
			"a commit":  left.commit(),
			"a message": line.Place(store.Out, "m1", 1),
		} {
			if !errors.Is(err, sql.ErrConnDone) {
				t.Errorf("%s: error is %v", name, err)
			}
		}
		left.end()
		return nil
	}); err != nil {
		t.Error(err)
	}
	wantScratch(t, s, 10)
}

func TestATransactionIsPreparedOnce(t *testing.T) {
	s := openScratch(t)
	for i := range 3 {
		if err := errors.Join(enqueue(t, s, fmt.Sprint(i)), s.look(t.Context(), "reading", func(*transaction) error { return nil })); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		db   *sql.DB
		kept []string
	}{
		"write": {s.write, []string{sqlBeginWriting, sqlCommit}}, "read": {s.read, []string{sqlBeginReading, sqlRollback}},
	} {
		conn, err := c.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Raw(func(driverConn any) error {
			for _, statement := range c.kept {
				if driverConn.(*preparing).kept[statement] == nil {
					t.Errorf("%s: %s is not kept", name, statement)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	}
}
