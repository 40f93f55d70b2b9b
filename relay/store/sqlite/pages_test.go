// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"path/filepath"
	"testing"
)

// TestATransactionWritesFewPages holds what a transaction of the hotline costs besides its sync: each page that it
// touches is written to the log, summed up there, and carried into the database later.
func TestATransactionWritesFewPages(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	l := &benchLine{b: t, s: s}
	for range 20 { // until tables have more than one page
		for _, do := range []func(int) error{l.enqueue, l.accept, l.receipts} {
			if err := do(64); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name     string
		do       func(n int) error
		messages int
		most     float64 // pages of a transaction
	}{
		{"enqueue", l.enqueue, 1, 9.2},
		{"accept", l.accept, 1, 11.5},
		{"receipts", l.receipts, 1, 5},
		{"enqueue 100", l.enqueue, 100, 70},
		{"accept 100", l.accept, 100, 91},
		{"receipts 100", l.receipts, 100, 23},
	} {
		const times = 64
		for len(l.ids) < times*c.messages { // what receipts are for
			if err := l.enqueue(c.messages); err != nil {
				t.Fatal(err)
			}
		}
		pages := 0
		for range times {
			logPages(t, s) // the next transaction begins the log anew
			if err := c.do(c.messages); err != nil {
				t.Fatal(err)
			}
			pages += logPages(t, s)
		}
		if mean := float64(pages) / times; mean > c.most {
			t.Errorf("a transaction of %s writes %.1f pages, more than %.1f", c.name, mean, c.most)
		}
	}
}

// logPages carries the log into the database, and returns how many pages it had since it began.
func logPages(t *testing.T, s *Store) (pages int) {
	t.Helper()
	s.checkpoints.one.Lock()
	defer s.checkpoints.one.Unlock()
	var busy, carried int
	if err := s.carry.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &carried); err != nil {
		t.Fatal(err)
	}
	if busy != 0 || carried != pages {
		t.Fatalf("of %d pages %d were carried, busy: %d", pages, carried, busy)
	}
	return pages
}
