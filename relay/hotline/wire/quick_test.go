// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// sizes are numbers at the borders of the forms of CBOR.
var sizes = []int64{0, 1, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64}

// some makes bytes of any length that has a form of its own.
func some(r *rand.Rand) []byte {
	b := make([]byte, []int{0, 1, 23, 24, 255, 256, 1024, 70_000}[r.IntN(8)])
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// random makes a batch of the members that quickEncode knows, with any of them left out.
func random(r *rand.Rand) *Batch {
	b := &Batch{Version: Version, Chain: [][]byte{}, Checkpoint: some(r)}
	for range r.IntN(3) {
		b.Chain = append(b.Chain, some(r))
	}
	for range r.IntN(3) {
		b.Steps = append(b.Steps, Step{From: sizes[r.IntN(len(sizes))], Path: some(r)})
	}
	if r.IntN(2) == 0 {
		b.Hashes = append(b.Hashes, make([]byte, 1+r.IntN(300))...)
	}
	if r.IntN(2) == 0 {
		b.Held = &Tree{Size: sizes[r.IntN(len(sizes))], Root: some(r)}
	}
	for range r.IntN(4) {
		e := Entry{Index: sizes[r.IntN(len(sizes))], Kind: []string{"message/1", "receipt/1", ""}[r.IntN(3)], Body: some(r), Path: []uint16{}}
		for range r.IntN(maxPath + 1) {
			e.Path = append(e.Path, uint16(r.Uint32()))
		}
		b.Entries = append(b.Entries, e)
	}
	return b
}

func TestABatchIsWrittenAndReadWithoutReflectionAsItIsWithIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		b := random(r)
		var want bytes.Buffer
		if err := encoder.MarshalToBuffer(b, &want); err != nil {
			t.Fatal(err)
		}
		got, ok := quickEncode(nil, b)
		if !ok || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%t\n%x, want\n%x", ok, got, want.Bytes())
		}
		read, ok := quickDecode(got)
		var other Batch
		if err := decoder.Unmarshal(got, &other); err != nil || !ok || !reflect.DeepEqual(read, &other) {
			t.Fatalf("%t, %v\n%+v, want\n%+v", ok, err, read, &other)
		}
	}
}

func TestWhatIsNotUsualIsLeftToTheDecoder(t *testing.T) {
	usual := func() *Batch {
		return &Batch{Version: Version, Chain: [][]byte{{1}}, Checkpoint: []byte{2}, Entries: []Entry{{Kind: "note/1", Body: []byte{3}, Path: []uint16{0}}}}
	}
	for name, change := range map[string]func(b *Batch){
		"a refusal":           func(b *Batch) { b.Refusals = []Refusal{{ID: "x", Status: 400}} },
		"a state":             func(b *Batch) { b.State = Behind },
		"what is wanted":      func(b *Batch) { b.Want = &Want{} },
		"a copy":              func(b *Batch) { b.Copies = []Copy{{}} },
		"what is shown":       func(b *Batch) { b.Shown = []byte{1} },
		"the chain of that":   func(b *Batch) { b.ShownChain = [][]byte{{1}} },
		"no chain":            func(b *Batch) { b.Chain = nil },
		"no body":             func(b *Batch) { b.Entries[0].Body = nil },
		"no path":             func(b *Batch) { b.Entries[0].Path = nil },
		"a negative index":    func(b *Batch) { b.Entries[0].Index = -1 },
		"a negative size":     func(b *Batch) { b.Held = &Tree{Size: -1, Root: []byte{1}} },
		"an impossible start": func(b *Batch) { b.Steps = []Step{{From: -1, Path: []byte{1}}} },
	} {
		b := usual()
		change(b)
		if _, ok := quickEncode(nil, b); ok {
			t.Errorf("%s was written", name)
		}
		var raw bytes.Buffer
		if err := encoder.MarshalToBuffer(b, &raw); err != nil {
			t.Fatal(err)
		}
		if read, ok := quickDecode(raw.Bytes()); ok {
			t.Errorf("%s was read: %+v", name, read)
		}
		if out, err := b.Encode(); err != nil || !bytes.Equal(out, raw.Bytes()) {
			t.Errorf("%s: %v, %x", name, err, out)
		}
	}
}

func FuzzQuickDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		if raw, err := random(r).Encode(); err == nil && len(raw) < 4<<10 {
			f.Add(raw)
		}
	}
	f.Add([]byte{0xa1, 0x04, 0x81, 0x82, 0x01, 0x41})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := quickDecode(raw)
		if !ok {
			return
		}
		var want Batch
		if err := decoder.Unmarshal(raw, &want); err != nil {
			t.Fatalf("%x was read, and is no batch: %v", raw, err)
		}
		if !reflect.DeepEqual(got, &want) {
			t.Errorf("%x was read as\n%+v, want\n%+v", raw, got, &want)
		}
	})
}

// BenchmarkOneMessage is what a batch of one message and the answer to it take at both ends.
func BenchmarkOneMessage(b *testing.B) {
	batch := &Batch{
		Version: Version, Chain: [][]byte{make([]byte, 500), make([]byte, 500)}, Checkpoint: make([]byte, 256), Hashes: make([]byte, 12*hashBytes),
		Steps: []Step{{From: 70_000, Path: make([]byte, 12*hashBytes)}}, Held: &Tree{Size: 70_000, Root: make([]byte, hashBytes)},
		Entries: []Entry{{Index: 70_001, Kind: "message/1", Body: make([]byte, 1500), Path: []uint16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}},
	}
	b.ReportAllocs()
	for b.Loop() {
		raw, err := batch.Encode()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}
