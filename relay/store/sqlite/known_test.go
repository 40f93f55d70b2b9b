// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func opened(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// putNumbers stores numbered objects, and says how many were added.
func putNumbers(t *testing.T, s *Store, from, to int) (added int) {
	t.Helper()
	var objects []store.Object
	for n := from; n < to; n++ {
		objects = append(objects, object(n, fmt.Sprint(n)))
	}
	outcomes, err := s.PutObjects(t.Context(), "c", objects, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o == store.Added {
			added++
		}
	}
	return added
}

func filterFull(s *Store) bool {
	s.known.reading.Wait()
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	return s.known.full
}

func TestTheFilterHoldsWhatIsStoredAndFewOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := opened(t, path)
	putNumbers(t, s, 0, 1000)
	if !filterFull(s) {
		t.Fatal("the filter of a new store is not in use")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, path)
	putNumbers(t, s, 1000, 2000)
	putNumbers(t, s, 2000, 2100)
	if !filterFull(s) {
		t.Fatal("the filter is not in use though as many objects were put as were stored")
	}
	others := 0
	for n := range 10_000 {
		held := s.known.holds(keyOf(object(n, "").ID))
		if n < 2100 && !held {
			t.Fatalf("object %d is stored, and the filter does not know it", n)
		}
		if n >= 2100 && held {
			others++
		}
	}
	if others > 10 {
		t.Errorf("the filter takes %d of 7900 new objects for stored ones", others)
	}
	if added := putNumbers(t, s, 0, 2100); added != 0 {
		t.Errorf("%d stored objects were added again", added)
	}
}

func TestWhatAnotherProcessPutsIsNoNews(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	one, other := opened(t, path), opened(t, path)
	putNumbers(t, one, 0, 200)
	if !filterFull(one) {
		t.Fatal("the filter is not in use")
	}
	putNumbers(t, other, 200, 400)
	if added := putNumbers(t, one, 0, 500); added != 100 {
		t.Errorf("%d objects were added, want 100", added)
	}
}

func TestTheFilterStaysInUseAfterCheckpoints(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "relay.db"))
	putNumbers(t, s, 0, 200)
	for n := 200; n < 1000; n += 200 {
		if _, err := s.carry.ExecContext(t.Context(), "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
			t.Fatal(err)
		}
		putNumbers(t, s, n, n+200)
		if !filterFull(s) || s.known.epoch != 1 {
			t.Fatalf("after a checkpoint the filter has begun for the %dth time", s.known.epoch)
		}
	}
}

func TestATransactionThatFailsLeavesNothingTheFilterMisses(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "relay.db"))
	putNumbers(t, s, 0, 200)
	keys := []int64{keyOf(object(1, "").ID), keyOf(object(777, "").ID)}
	if !filterFull(s) || s.known.news(keys) || !s.known.news(keys[1:]) {
		t.Fatal("the filter is wrong about one of two keys")
	}
	s.known.add(keys[1])
	if s.known.news(slices.Clone(keys[1:])) {
		t.Error("a key is still new after it was added")
	}
	if added := putNumbers(t, s, 700, 800); added != 100 {
		t.Errorf("%d objects were added, want 100: one was noted and not stored", added)
	}
}
