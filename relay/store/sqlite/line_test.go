// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func TestAJournalCanOnlyGrow(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	if err := s.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error {
		return l.Append(store.JournalBatch{
			Entries: []store.JournalEntry{{Kind: "act/1", Body: []byte("x")}}, Hashes: make([]store.Hash, 1),
			Checkpoint: store.Checkpoint{Size: 1, Signed: []byte("signed")},
		})
	}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"DELETE FROM journals", "UPDATE journals SET root = x'79'"} {
		if _, err := s.write.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
