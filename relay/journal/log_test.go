// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
)

const origin = "alfa.example/certlink/hotline/bravo.example"

// book is a log in memory, written as a store would write it.
type book struct {
	t       testing.TB
	key     ed25519.PrivateKey
	tree    tlog.Tree
	hashes  []tlog.Hash
	entries []journal.Entry
	signed  [][]byte
	kept    []journal.Checkpoint
}

func newBook(t testing.TB) *book {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, t.Name())
	return &book{t: t, key: ed25519.NewKeyFromSeed(seed)}
}

func (b *book) public() ed25519.PublicKey { return b.key.Public().(ed25519.PublicKey) }

func (b *book) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(b.hashes)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		out[i] = b.hashes[index]
	}
	return out, nil
}

// commit appends a batch and seals it.
func (b *book) commit(n int) {
	b.t.Helper()
	var leaves []tlog.Hash
	for range n {
		e := journal.Entry{Kind: journal.Message, Body: fmt.Appendf(nil, "message %d", len(b.entries))}
		b.entries = append(b.entries, e)
		leaves = append(leaves, journal.LeafHash(e.Kind, e.Body))
	}
	tree, added, err := journal.Grow(b.tree, leaves, b)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range added {
		if s.Index != int64(len(b.hashes)) {
			b.t.Fatalf("hash %d is to be stored at %d", s.Index, len(b.hashes))
		}
		b.hashes = append(b.hashes, s.Hash)
	}
	b.tree = tree
	c := journal.Checkpoint{Origin: origin, Tree: tree}
	signed, err := journal.Seal(c, b.key)
	if err != nil {
		b.t.Fatal(err)
	}
	b.signed, b.kept = append(b.signed, signed), append(b.kept, c)
}

// audit reads the log from its first entry and compares it with what was kept.
func (b *book) audit() (int64, error) {
	var a journal.Auditor
	kept := b.kept
	compare := func() error {
		for ; len(kept) > 0 && kept[0].Tree.N == a.Size(); kept = kept[1:] {
			if err := a.Compare(kept[0]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, entry := range b.entries {
		if err := compare(); err != nil {
			return a.Size(), err
		}
		if err := a.Add(entry, b); err != nil {
			return a.Size(), err
		}
	}
	if err := compare(); err != nil {
		return a.Size(), err
	}
	if len(kept) > 0 {
		return a.Size(), fmt.Errorf("%d entries were signed: %w", kept[0].Tree.N, journal.ErrDamaged)
	}
	return a.Size(), nil
}

func TestEveryEntryOfEveryBatchIsProvenAloneAndNothingElseIs(t *testing.T) {
	b := newBook(t)
	for _, n := range []int{1, 1, 2, 3, 5, 8, 13, 64, 7} {
		b.commit(n)
		last := b.signed[len(b.signed)-1]
		for i, e := range b.entries {
			p, err := journal.Prove(b.tree, int64(i), last, b)
			if err != nil {
				t.Fatal(err)
			}
			read, err := journal.ParseProof(p.Text())
			if err != nil {
				t.Fatalf("entry %d of %d: %v", i, b.tree.N, err)
			}
			if _, err := read.Check(e.Kind, e.Body, origin, b.public()); err != nil {
				t.Fatalf("entry %d of %d: %v", i, b.tree.N, err)
			}
			if _, err := read.Check(journal.Receipt, e.Body, origin, b.public()); !errors.Is(err, journal.ErrNotIncluded) {
				t.Fatalf("a message was taken for a receipt: %v", err)
			}
			if _, err := read.Check(e.Kind, append(e.Body, ' '), origin, b.public()); !errors.Is(err, journal.ErrNotIncluded) {
				t.Fatalf("another body was taken: %v", err)
			}
			if read.Index++; read.Index < b.tree.N {
				if _, err := read.Check(e.Kind, e.Body, origin, b.public()); !errors.Is(err, journal.ErrNotIncluded) {
					t.Fatalf("an entry was taken at another place: %v", err)
				}
			}
		}
	}
}

func TestALogGrowsAsPackageTlogHasIt(t *testing.T) {
	for size := range 70 {
		for more := 1; more <= 20; more += 3 {
			b := newBook(t)
			b.commit(size)
			leaves := make([]tlog.Hash, more)
			want, root := slices.Clone(b.hashes), tlog.Hash{}
			read := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
				for _, index := range indexes {
					out = append(out, want[index])
				}
				return out, nil
			})
			for i := range leaves {
				leaves[i] = journal.LeafHash(journal.Message, []byte{byte(i)})
				n := int64(size + i)
				hashes, err := tlog.StoredHashesForRecordHash(n, leaves[i], read)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, hashes...)
				if root, err = tlog.TreeHash(n+1, read); err != nil {
					t.Fatal(err)
				}
			}
			tree, added, err := journal.Grow(b.tree, leaves, b)
			if err != nil || tree != (tlog.Tree{N: int64(size + more), Hash: root}) {
				t.Fatalf("%d and %d entries: %v, %v", size, more, tree, err)
			}
			for _, s := range added {
				if s.Index != int64(len(b.hashes)) {
					t.Fatalf("%d and %d entries: a hash is to be stored at %d", size, more, s.Index)
				}
				b.hashes = append(b.hashes, s.Hash)
			}
			if !slices.Equal(b.hashes, want) {
				t.Fatalf("%d and %d entries: the hashes to store are others", size, more)
			}
		}
	}
}

func TestEveryCheckpointContinuesEveryOlderOneAndNoOther(t *testing.T) {
	b := newBook(t)
	for i := range 12 {
		b.commit(i + 1)
	}
	newest := b.kept[len(b.kept)-1]
	for i, older := range b.kept {
		path, err := journal.ProveConsistent(older.Tree.N, b.tree, b)
		if err != nil {
			t.Fatal(err)
		}
		if err := journal.CheckConsistent(older, newest, path); err != nil {
			t.Errorf("checkpoint %d: %v", i, err)
		}
		forged := older
		forged.Tree.Hash[0] ^= 1
		if err := journal.CheckConsistent(forged, newest, path); !errors.Is(err, journal.ErrForked) {
			t.Errorf("checkpoint %d: another root was taken: %v", i, err)
		}
		if err := journal.CheckConsistent(newest, older, path); older.Tree.N < newest.Tree.N && !errors.Is(err, journal.ErrForked) {
			t.Errorf("checkpoint %d: a log that shrank was taken: %v", i, err)
		}
	}
	if err := journal.CheckConsistent(journal.Checkpoint{Origin: origin}, newest, nil); err != nil {
		t.Errorf("the empty log: %v", err)
	}
}

func TestAnAuditFindsWhatWasChanged(t *testing.T) {
	for name, change := range map[string]func(b *book){
		"an edited body":              func(b *book) { b.entries[17].Body = []byte("edited") },
		"another kind":                func(b *book) { b.entries[17].Kind = journal.Act },
		"a removed entry":             func(b *book) { b.entries = append(b.entries[:17], b.entries[18:]...) },
		"an inserted entry":           func(b *book) { b.entries = append(b.entries[:17:17], b.entries[16:]...) },
		"two entries exchanged":       func(b *book) { b.entries[16], b.entries[17] = b.entries[17], b.entries[16] },
		"a cut end":                   func(b *book) { b.entries = b.entries[:30] },
		"a changed leaf hash":         func(b *book) { b.hashes[tlog.StoredHashIndex(0, 17)][3] ^= 4 },
		"a changed hash of a subtree": func(b *book) { b.hashes[tlog.StoredHashIndex(2, 3)][3] ^= 4 },
		"missing hashes":              func(b *book) { b.hashes = b.hashes[:20] },
		"an edited body with its hash": func(b *book) {
			b.entries[17].Body = []byte("edited")
			b.hashes[tlog.StoredHashIndex(0, 17)] = journal.LeafHash(b.entries[17].Kind, b.entries[17].Body)
		},
		"a whole log written anew": func(b *book) {
			anew := &book{t: b.t, key: b.key, entries: []journal.Entry{{Kind: journal.Act, Body: []byte("other")}}}
			first := []tlog.Hash{journal.LeafHash(journal.Act, []byte("other"))}
			tree, added, err := journal.Grow(anew.tree, first, anew)
			if err != nil {
				b.t.Fatal(err)
			}
			anew.tree, anew.hashes = tree, []tlog.Hash{added[0].Hash}
			for range b.kept {
				anew.commit(7)
			}
			anew.kept = b.kept // what the peer holds stays as it is
			*b = *anew
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			for range 6 {
				b.commit(7)
			}
			if n, err := b.audit(); err != nil || n != 42 {
				t.Fatalf("unchanged: %d entries, %v", n, err)
			}
			change(b)
			if _, err := b.audit(); !errors.Is(err, journal.ErrDamaged) {
				t.Errorf("not found: %v", err)
			}
		})
	}
}

func BenchmarkABatchOf64IsAppendedSealedAndProven(b *testing.B) {
	log := newBook(b)
	log.commit(10_000)
	body := make([]byte, 1024)
	for b.Loop() {
		leaves := make([]tlog.Hash, 64)
		for i := range leaves {
			leaves[i] = journal.LeafHash(journal.Message, body)
		}
		tree, added, err := journal.Grow(log.tree, leaves, log)
		if err != nil {
			b.Fatal(err)
		}
		signed, err := journal.Seal(journal.Checkpoint{Origin: origin, Tree: tree}, log.key)
		if err != nil {
			b.Fatal(err)
		}
		stored := log.hashes
		for _, s := range added {
			log.hashes = append(log.hashes, s.Hash)
		}
		for i := range leaves {
			if _, err := journal.Prove(tree, log.tree.N+int64(i), signed, log); err != nil {
				b.Fatal(err)
			}
		}
		log.hashes = stored
	}
}
