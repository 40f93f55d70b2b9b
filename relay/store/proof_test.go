// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

func TestAProofIsTheSameTextAfterItWasPacked(t *testing.T) {
	for name, want := range map[string]journal.Proof{
		"the only entry": {Checkpoint: []byte("origin\n1\nroot\n\n— signature\n")},
		"of many":        {Index: journal.MaxSize - 1, Path: tlog.RecordProof{{1}, {2}, {1}}, Checkpoint: []byte("origin\n\n— signature\n")},
	} {
		t.Run(name, func(t *testing.T) {
			p := store.ProofOf(want, []byte("chain"))
			got, err := store.UnpackProof(p.Pack(), *p.Of)
			if err != nil || !bytes.Equal(got, want.Text()) || string(p.Of.Chain) != "chain" {
				t.Errorf("%q, %v; want %q", got, err, want.Text())
			}
		})
	}
	if none := (&store.Proof{}).Pack(); none != nil {
		t.Errorf("no proof is packed as %x", none)
	}
}

func FuzzUnpackProof(f *testing.F) {
	f.Add([]byte{5, 0, 1, 0, 0}, make([]byte, 64))
	f.Add([]byte{5, 0, 2}, make([]byte, 64))
	f.Add([]byte{0x80}, []byte{})
	f.Fuzz(func(t *testing.T, packed, hashes []byte) {
		text, err := store.UnpackProof(packed, store.Evidence{Checkpoint: []byte("origin\n\n— signature\n"), Hashes: hashes})
		if err != nil {
			return
		}
		p, err := journal.ParseProof(text)
		if err != nil {
			return // it is longer than what is accepted
		}
		repacked := store.ProofOf(p, nil)
		again, err := store.UnpackProof(repacked.Pack(), *repacked.Of)
		if err != nil || !slices.Equal(again, text) {
			t.Errorf("%x of %x is %q, then %q, %v", packed, hashes, text, again, err)
		}
	})
}
