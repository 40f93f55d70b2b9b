// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
)

const origin = "alfa.example/certlink/hotline/bravo.example"

// memory is a log in memory.
type memory struct {
	hashes []tlog.Hash
	tree   tlog.Tree
}

func (m *memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(m.hashes)) {
			return nil, errors.New("no such hash")
		}
		out[i] = m.hashes[at]
	}
	return out, nil
}

func body(i int64) []byte { return fmt.Appendf(nil, "message %d", i) }

func (m *memory) grow(t testing.TB, n int) {
	t.Helper()
	leaves := make([]tlog.Hash, n)
	for i := range leaves {
		leaves[i] = journal.LeafHash(journal.Message, body(m.tree.N+int64(i)))
	}
	tree, added, err := journal.Grow(m.tree, leaves, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range added {
		m.hashes = append(m.hashes, a.Hash)
	}
	m.tree = tree
}

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// build makes a batch of entries of a log.
func build(t testing.TB, m *memory, of string, k ed25519.PrivateKey, older []int64, indexes ...int64) *wire.Batch {
	t.Helper()
	signed, err := journal.Seal(journal.Checkpoint{Origin: of, Tree: m.tree}, k)
	if err != nil {
		t.Fatal(err)
	}
	b := &wire.Batch{Chain: [][]byte{{1}}, Checkpoint: signed}
	p := wire.NewProver(b, m.tree, m)
	for _, from := range older {
		if err := p.Continue(from); err != nil {
			t.Fatal(err)
		}
	}
	half := len(indexes) / 2 // as when a note goes with messages
	for _, part := range [][]int64{indexes[:half], indexes[half:]} {
		entries := make([]wire.Entry, len(part))
		for i, index := range part {
			entries[i] = wire.Entry{Index: index, Kind: string(journal.Message), Body: body(index)}
		}
		if err := p.Add(entries...); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// travel encodes and decodes.
func travel(t testing.TB, b *wire.Batch) *wire.Batch {
	t.Helper()
	raw, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := wire.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func open(t testing.TB, b *wire.Batch) *wire.Opened {
	t.Helper()
	o, err := b.Open(origin, key(1).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestEachEntryOfEachLogIsProven(t *testing.T) {
	var m memory
	for size := int64(1); size <= 70; size++ {
		m.grow(t, 1)
		all := make([]int64, size)
		for i := range all {
			all[i] = int64(i)
		}
		o := open(t, travel(t, build(t, &m, origin, key(1), nil, all...)))
		for i := range o.Entries {
			e := &o.Entries[i]
			if err := o.Check(e); err != nil {
				t.Fatalf("entry %d of %d: %v", i, size, err)
			}
			// What is kept of it proves it alone, too.
			proof := o.Proof(e)
			if _, err := proof.Check(journal.Message, e.Body, origin, key(1).Public().(ed25519.PublicKey)); err != nil {
				t.Fatalf("entry %d of %d alone: %v", i, size, err)
			}
		}
	}
}

func TestWhatIsNotInTheLogIsNotProven(t *testing.T) {
	var m memory
	m.grow(t, 200)
	for name, change := range map[string]func(b *wire.Batch){
		"another body":             func(b *wire.Batch) { b.Entries[1].Body = []byte("other") },
		"another kind":             func(b *wire.Batch) { b.Entries[1].Kind = "receipt/1" },
		"another index":            func(b *wire.Batch) { b.Entries[1].Index++ },
		"a larger index":           func(b *wire.Batch) { b.Entries[1].Index = 200 },
		"the proof of another":     func(b *wire.Batch) { b.Entries[1].Path = b.Entries[0].Path },
		"a shorter proof":          func(b *wire.Batch) { b.Entries[1].Path = b.Entries[1].Path[1:] },
		"a proof cut at its end":   func(b *wire.Batch) { b.Entries[1].Path = b.Entries[1].Path[:3] },
		"a longer proof":           func(b *wire.Batch) { b.Entries[1].Path = append(b.Entries[1].Path, 0) },
		"no proof":                 func(b *wire.Batch) { b.Entries[1].Path = nil },
		"another hash in the path": func(b *wire.Batch) { b.Entries[1].Path[len(b.Entries[1].Path)-1] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			b := build(t, &m, origin, key(1), nil, 7, 6, 9)
			change(b)
			o := open(t, travel(t, b))
			for i := range o.Entries {
				if err := o.Check(&o.Entries[i]); (err != nil) != (i == 1) || err != nil && !errors.Is(err, journal.ErrNotIncluded) {
					t.Errorf("entry %d: %v", i, err)
				}
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	var m memory
	m.grow(t, 3)
	for name, b := range map[string]*wire.Batch{
		"another log": build(t, &m, "alfa.example/certlink/hotline/charlie.example", key(1), nil, 0),
		"another key": build(t, &m, origin, key(2), nil, 0),
	} {
		if _, err := b.Open(origin, key(1).Public().(ed25519.PublicKey)); !errors.Is(err, journal.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContinues(t *testing.T) {
	var m, other memory
	m.grow(t, 5)
	five := m.tree
	m.grow(t, 8)
	other.grow(t, 4)
	other.tree.N = 5
	o := open(t, travel(t, build(t, &m, origin, key(1), []int64{5}, 1)))
	for name, tt := range map[string]struct {
		held tlog.Tree
		want error
	}{
		"nothing":             {tlog.Tree{}, nil},
		"an older state":      {five, nil},
		"the same state":      {m.tree, nil},
		"a state without one": {tlog.Tree{N: 6, Hash: five.Hash}, wire.ErrUnlinked},
		"another history":     {other.tree, journal.ErrForked},
		"another root":        {tlog.Tree{N: m.tree.N, Hash: five.Hash}, journal.ErrForked},
		"a larger state":      {tlog.Tree{N: 99, Hash: five.Hash}, journal.ErrForked},
	} {
		if err := o.Continues(tt.held); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var m memory
	m.grow(t, 300)
	many := make([]int64, wire.MaxEntries+1)
	for i := range many {
		many[i] = int64(i)
	}
	good := func() *wire.Batch { return build(t, &m, origin, key(1), []int64{5}, 1, 2) }
	for name, change := range map[string]func(b *wire.Batch){
		"too many entries":             func(b *wire.Batch) { *b = *build(t, &m, origin, key(1), nil, many...) },
		"no chain":                     func(b *wire.Batch) { b.Chain = nil },
		"a long chain":                 func(b *wire.Batch) { b.Chain = [][]byte{{1}, {1}, {1}, {1}, {1}} },
		"a large certificate":          func(b *wire.Batch) { b.Chain[0] = make([]byte, wire.MaxCertificate+1) },
		"no checkpoint":                func(b *wire.Batch) { b.Checkpoint = nil },
		"a large checkpoint":           func(b *wire.Batch) { b.Checkpoint = make([]byte, journal.MaxCheckpointBytes+1) },
		"a part of a hash":             func(b *wire.Batch) { b.Hashes = b.Hashes[1:] },
		"a hash that is not there":     func(b *wire.Batch) { b.Entries[0].Path[0] = 9999 },
		"a large body":                 func(b *wire.Batch) { b.Entries[0].Body = make([]byte, wire.MaxBody+1) },
		"a negative index":             func(b *wire.Batch) { b.Entries[0].Index = -1 },
		"a long path":                  func(b *wire.Batch) { b.Entries[0].Path = make([]uint16, 49) },
		"a part of a consistent proof": func(b *wire.Batch) { b.Steps[0].Path = b.Steps[0].Path[1:] },
		"a refusal that is none":       func(b *wire.Batch) { b.Refusals = []wire.Refusal{{ID: "x", Status: 200}} },
		"a state without a root":       func(b *wire.Batch) { b.Held = &wire.Tree{Size: 1} },
		"too many consistency proofs":  func(b *wire.Batch) { b.Steps = make([]wire.Step, wire.MaxSteps+1) },
	} {
		b := good()
		change(b)
		raw, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Decode(raw); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, raw := range map[string][]byte{
		"nothing": nil, "rubbish": []byte("rubbish"), "a large body": make([]byte, wire.MaxBytes+1), "an older version": {0xa1, 1, 1},
	} {
		if _, err := wire.Decode(raw); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var m memory
	m.grow(f, 9)
	raw, err := build(f, &m, origin, key(1), []int64{5}, 1, 7).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{0xa1, 1, 2})
	public := key(1).Public().(ed25519.PublicKey)
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := wire.Decode(raw)
		if err != nil {
			return
		}
		o, err := b.Open(origin, public)
		if err != nil {
			return
		}
		_ = o.Continues(m.tree)
		for i := range o.Entries {
			e := &o.Entries[i]
			if o.Check(e) == nil && (e.Index >= m.tree.N || !bytes.Equal(e.Body, body(e.Index))) {
				t.Errorf("entry %d with %q was accepted", e.Index, e.Body)
			}
		}
	})
}

func BenchmarkBatch(b *testing.B) {
	var m memory
	m.grow(b, 100_000)
	indexes := make([]int64, wire.MaxEntries)
	for i := range indexes {
		indexes[i] = m.tree.N - 600 + 2*int64(i)
	}
	public := key(1).Public().(ed25519.PublicKey)
	b.Run("prove", func(b *testing.B) {
		for b.Loop() {
			build(b, &m, origin, key(1), nil, indexes...)
		}
	})
	raw, err := build(b, &m, origin, key(1), nil, indexes...).Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			batch, err := wire.Decode(raw)
			if err != nil {
				b.Fatal(err)
			}
			o, err := batch.Open(origin, public)
			if err != nil {
				b.Fatal(err)
			}
			for i := range o.Entries {
				if err := o.Check(&o.Entries[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
