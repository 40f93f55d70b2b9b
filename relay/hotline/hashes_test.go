// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/store"
)

func TestTheHashesInMemoryAreTheNewestAndBounded(t *testing.T) {
	hash := func(index int64) (h store.Hash) {
		binary.BigEndian.PutUint64(h[:], uint64(index)) //nolint:gosec // it is only told apart
		return h
	}
	var h hashes
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // for a test
	for next := int64(0); next < 3*maxHashes; {
		b := store.JournalBatch{FirstHash: next, Hashes: make([]store.Hash, 1+random.IntN(500))}
		for i := range b.Hashes {
			b.Hashes[i] = hash(next)
			next++
		}
		h.committed(&b)
		for range 100 {
			index := random.Int64N(next + 10)
			got, ok := h.get(index)
			if newest := index < next && index >= next-maxHashes; ok != newest || ok && got != tlog.Hash(hash(index)) {
				t.Fatalf("hash %d of %d: %v, %t", index, next, got, ok)
			}
		}
		if len(h.places) > maxHashes || int64(len(h.places)) > max(leastHashes, 2*next) {
			t.Fatalf("%d hashes have %d places", next, len(h.places))
		}
	}
	h.put(1, tlog.Hash(hash(1)))
	if got, ok := h.get(1); !ok || got != tlog.Hash(hash(1)) {
		t.Error("one that was read again is not there")
	}
	if _, ok := h.get(1 + 2*maxHashes); ok {
		t.Error("its place has two")
	}
	if h.forget(); h.places != nil {
		t.Error("nothing is to be left")
	}
}
