// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func logSize(t *testing.T, s *Store) int64 {
	t.Helper()
	info, err := s.log.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// crashCopy copies a database as a crash would leave it, and returns where.
func crashCopy(t *testing.T, s *Store) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	for _, file := range []string{"", "-wal"} {
		data, err := os.ReadFile(s.path + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestTheLog(t *testing.T) {
	t.Run("does_not_grow_once_the_store_is_in_use,_and_a_crash_loses_nothing_of_it", func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "relay.db"))
		for i := range lengthenAfter {
			if err := enqueue(t, s, fmt.Sprint("before-", i)); err != nil {
				t.Fatal(err)
			}
		}
		s.length.running.Wait()
		if size := logSize(t, s); size > s.checkpoints.most || size <= s.checkpoints.most-lengthenBy {
			t.Fatalf("the log has %d bytes, want about %d", size, s.checkpoints.most)
		}
		long := logSize(t, s)
		for i := range lengthenAfter {
			if err := enqueue(t, s, fmt.Sprint("after-", i)); err != nil {
				t.Fatal(err)
			}
		}
		if size := logSize(t, s); size != long {
			t.Errorf("the log grew from %d to %d bytes", long, size)
		}
		again := open(t, crashCopy(t, s))
		for i := range lengthenAfter {
			for _, when := range []string{"before-", "after-"} {
				if _, err := again.GetMessage(t.Context(), store.Out, "bravo", fmt.Sprint(when, i)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	t.Run("is_left_alone_by_who_only_looks", func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "relay.db"))
		if err := enqueue(t, s, "one"); err != nil {
			t.Fatal(err)
		}
		s.length.running.Wait()
		if size := logSize(t, s); size > lengthenBy {
			t.Errorf("the log has %d bytes", size)
		}
	})
}
