// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func objectsFrom(first, n int) []store.Object {
	list := make([]store.Object, n)
	for i := range list {
		list[i] = object(first+i, "a")
	}
	return list
}

// The clock stands still, and the newest records are deleted each time: what gives out the
// positions is the store's clock, not the largest one that is there.
func TestEachRecordOfAPutHasThePositionBehindTheOneBefore(t *testing.T) {
	s, err := Open(t.Context(), Config{
		Path: filepath.Join(t.TempDir(), "relay.db"), Now: func() time.Time { return time.Unix(1_800_000_000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var last int64
	for _, n := range []int{1, 2, 3, rowsAtOnce - 1, rowsAtOnce, rowsAtOnce + 1, 3*rowsAtOnce + 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			batch := objectsFrom(1000*n, n)
			if _, err := s.PutObjects(t.Context(), "c", batch, ""); err != nil {
				t.Fatal(err)
			}
			page, err := s.ListObjects(t.Context(), "c", store.Query{Limit: 1000})
			if err != nil || len(page.Records) != n {
				t.Fatalf("put %d objects, found %d: %v", n, len(page.Records), err)
			}
			for i, r := range page.Records {
				if want := page.Records[0].Seq + int64(i); r.ID != batch[i].ID || r.Seq != want || r.Seq <= last {
					t.Fatalf("record %d is %s at %d, want %s at %d, behind %d", i, r.ID, r.Seq, batch[i].ID, want, last)
				}
			}
			last = page.Records[n-1].Seq
			for part := range slices.Chunk(batch, store.MaxSelectors) {
				gone := store.Query{Limit: 1000}
				for _, o := range part {
					gone.IDs = append(gone.IDs, o.ID)
				}
				if got, err := s.DeleteObjects(t.Context(), "c", gone); err != nil || got != len(part) {
					t.Fatal(got, err)
				}
			}
		})
	}
}

func TestAPutThatFailsAtAStatementOfManyRowsStoresNothingAndTheNextOneWorks(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	if _, err := s.write.ExecContext(t.Context(), "CREATE UNIQUE INDEX one_content ON objects (raw) WHERE raw <> CAST('a' AS BLOB)"); err != nil {
		t.Fatal(err)
	}
	batch := objectsFrom(0, 3*rowsAtOnce)
	batch[2*rowsAtOnce].Raw, batch[2*rowsAtOnce+5].Raw = []byte("b"), []byte("b")
	if _, err := s.PutObjects(t.Context(), "c", batch, "cursor"); err == nil {
		t.Fatal("two rows break a constraint, and the put succeeded")
	}
	count, err := s.CountObjects(t.Context(), "c")
	cursor, cursorErr := s.Cursor(t.Context(), "c")
	if err != nil || cursorErr != nil || count != 0 || cursor != "" {
		t.Errorf("%d objects and the cursor %q are stored: %v, %v", count, cursor, err, cursorErr)
	}
	batch[2*rowsAtOnce].Raw = []byte("c")
	if _, err := s.PutObjects(t.Context(), "c", batch, "cursor"); err != nil {
		t.Fatal(err)
	}
	page, err := s.ListObjects(t.Context(), "c", store.Query{Limit: 1000})
	if err != nil || len(page.Records) != len(batch) {
		t.Errorf("%d records, want %d: %v", len(page.Records), len(batch), err)
	}
}
