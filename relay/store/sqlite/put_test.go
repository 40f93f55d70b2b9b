// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/store"
)

func object(number int, content string) store.Object {
	return store.Object{
		ID: fmt.Sprintf("indicator--%08d-0000-4000-8000-000000000000", number), Type: "indicator", SpecVersion: "2.1",
		Version: time.Unix(1, 0), Raw: []byte(content),
	}
}

func TestAGroupWithDuplicatesAndForksHasTheOutcomesOfSingleObjects(t *testing.T) {
	stored, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stored.Close() })
	for name, batch := range map[string]struct {
		before []store.Object
		change func([]store.Object)
		want   map[int]store.Outcome // all others are added
	}{
		"all new":               {},
		"one stored":            {before: []store.Object{object(70, "a")}, want: map[int]store.Outcome{70: store.Duplicate}},
		"one forked":            {before: []store.Object{object(3, "b")}, want: map[int]store.Outcome{3: store.Forked}},
		"twice in a group":      {change: func(o []store.Object) { o[9] = o[5] }, want: map[int]store.Outcome{9: store.Duplicate}},
		"forked in a group":     {change: func(o []store.Object) { o[9] = o[5]; o[9].Raw = []byte("b") }, want: map[int]store.Outcome{9: store.Forked}},
		"twice in two groups":   {change: func(o []store.Object) { o[100] = o[5] }, want: map[int]store.Outcome{100: store.Duplicate}},
		"two versions in one":   {change: func(o []store.Object) { o[9] = o[5]; o[9].Version = time.Unix(2, 0) }},
		"another version there": {before: []store.Object{{ID: object(3, "").ID, Type: "indicator", SpecVersion: "2.1", Version: time.Unix(9, 0)}}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := make([]store.Object, 3*rowsAtOnce+5)
			want := make([]store.Outcome, len(objects))
			for i := range objects {
				objects[i], want[i] = object(i, "a"), store.Added
			}
			if batch.change != nil {
				batch.change(objects)
			}
			for i, outcome := range batch.want {
				want[i] = outcome
			}
			if _, err := stored.PutObjects(t.Context(), name, batch.before, ""); err != nil {
				t.Fatal(err)
			}
			got, err := stored.PutObjects(t.Context(), name, objects, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("outcomes (-want +got):\n" + diff)
			}
			page, err := stored.ListObjects(t.Context(), name, store.Query{Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			count, err := stored.CountObjects(t.Context(), name)
			if records := len(objects) - len(batch.want) + len(batch.before); err != nil || len(page.Records) != records || count != int64(records) {
				t.Errorf("%d records, counted %d, want %d: %v", len(page.Records), count, records, err)
			}
		})
	}
}

func TestObjectsFromBeforeTheKeysAreFoundByThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	stored, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	objects := []store.Object{object(1, "a"), object(2, "a")}
	if _, err := stored.PutObjects(t.Context(), "c", objects, ""); err != nil {
		t.Fatal(err)
	}
	if err := stored.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "DROP INDEX objects_by_key", "ALTER TABLE objects DROP COLUMN key",
		"CREATE UNIQUE INDEX objects_by_version ON objects (collection, stix_id, version)", "PRAGMA user_version = 6")
	known := onlyStep(t, path, "migrations/0007_key.sql", 7)
	raw(t, path, fmt.Sprintf("PRAGMA user_version = %d", known)) // the later steps are done
	stored = open(t, path)
	got, err := stored.PutObjects(t.Context(), "c", objects, "")
	if diff := cmp.Diff([]store.Outcome{store.Duplicate, store.Duplicate}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	page, err := stored.ListObjects(t.Context(), "c", store.Query{Limit: 10, IDs: []string{objects[1].ID}})
	if err != nil || len(page.Records) != 1 {
		t.Error(page, err)
	}
}

// onlyStep does one migration, and returns how many there are.
func onlyStep(t *testing.T, path, name string, version int) int {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrateStep(t.Context(), db, name, version); err != nil {
		t.Fatal(err)
	}
	known, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	return len(known)
}

// A page keeps the bytes that the driver gives for a row, without a copy.
func TestTheDriverMakesNewBytesForEachRow(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const rowsOfTest = 2000
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1+i*7919%9000) }
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (i INTEGER PRIMARY KEY, b BLOB)"); err != nil {
		t.Fatal(err)
	}
	for i := range rowsOfTest {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO t (i, b) VALUES (?, ?)", i, content(i)); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.QueryContext(t.Context(), "SELECT b FROM t ORDER BY i")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var kept []blob
	for rows.Next() {
		var b blob
		if err := rows.Scan(&b); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b)
	}
	if err := errors.Join(rows.Err(), rows.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if len(kept) != rowsOfTest {
		t.Fatalf("%d rows, want %d", len(kept), rowsOfTest)
	}
	for i, b := range kept {
		if !bytes.Equal(b, content(i)) {
			t.Fatalf("the bytes of row %d have changed", i)
		}
	}
}
