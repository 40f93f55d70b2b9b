// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/certlink/certlink/relay/journal"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestCheckpointsAndProofsAreByteForByteWhatTheyWere: what was handed to others, or is stored, is
// verified for as long as anybody keeps it. A difference here is a new format.
func TestCheckpointsAndProofsAreByteForByteWhatTheyWere(t *testing.T) {
	b := newBook(t)
	b.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	b.commit(1)
	b.commit(12)
	key, err := journal.VerifierKey(origin, b.public())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"vkey": []byte(key + "\n"), "checkpoint-1": b.signed[0], "checkpoint-13": b.signed[1]}
	for _, index := range []int64{0, 7, 12} {
		p, err := journal.Prove(b.tree, index, b.signed[1], b)
		if err != nil {
			t.Fatal(err)
		}
		files[fmt.Sprintf("entry-%d.tlog-proof", index)] = p.Text()
	}
	for name, got := range files {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(want, got) {
			t.Errorf("%s is %q, want %q, %v", name, got, want, err)
		}
	}
}
