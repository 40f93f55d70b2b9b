// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// TestAPeerThatBreaksItsJournalAgainAndAgainDoesNotMakeTheStoreGrow: the newest stay, with the first break, and what
// is asked for is among them.
func TestAPeerThatBreaksItsJournalAgainAndAgainDoesNotMakeTheStoreGrow(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	begin := time.Unix(1_700_000_000, 0).UTC()
	const breaks = store.KeptBreaks + 20
	for i := range breaks {
		if err := s.ChangeLine(t.Context(), "bravo", func(l store.LineTx) error {
			b := store.Break{At: begin.Add(time.Duration(i) * time.Second), OldSize: 9, Size: int64(i), Note: []byte("note")}
			c := store.Checkpoint{Size: 7, Root: store.Hash{byte(i)}, Signed: []byte("signed"), Chain: []byte("chain")}
			return errors.Join(l.BreakPeerJournal(b, c), l.BreakJournal(b))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int64{
		"SELECT count(*) FROM journal_breaks WHERE ours = 0":  store.KeptBreaks + 1,
		"SELECT count(*) FROM journal_breaks WHERE ours = 1":  store.KeptBreaks + 1,
		"SELECT min(size) FROM journal_breaks WHERE ours = 0": 0,
		"SELECT min(size) FROM journal_breaks WHERE size > 0": breaks - store.KeptBreaks,
		"SELECT max(size) FROM journal_breaks":                breaks - 1,
		"SELECT count(*) FROM peer_logs":                      store.KeptEras,
		"SELECT max(era) - min(era) FROM peer_logs":           store.KeptEras - 1,
		"SELECT count(*) FROM evidence":                       store.KeptEras,
	} {
		var got int64
		if err := s.read.QueryRowContext(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", query, got, err, want)
		}
	}
	if err := s.ReadLine(t.Context(), "bravo", func(l store.LineReader) error {
		c, err := l.PeerCheckpoint()
		if c.Root != (store.Hash{breaks - 1}) {
			t.Errorf("the present era begins with %x", c.Root)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
