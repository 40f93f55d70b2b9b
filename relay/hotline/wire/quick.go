// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"math"
)

// quickDecode reads a batch that is written as quickEncode does, as nearly all are: each member once and in order,
// each number in its shortest form. What it returns is what the decoder returns, without its two passes and
// without reflection. false says nothing about the batch: then the decoder reads it, and names what is wrong.
func quickDecode(raw []byte) (b *Batch, ok bool) {
	r := reader{rest: raw}
	members, last := r.head(majorMap), uint64(0)
	b = &Batch{}
	for ; members > 0 && !r.other; members-- {
		key := r.head(majorUint)
		if key <= last {
			return nil, false
		}
		last = key
		r.member(key, b)
	}
	return b, !r.other && len(r.rest) == 0
}

// reader reads items; other says that something is not in the form that it knows.
type reader struct {
	rest  []byte
	other bool
}

func (r *reader) member(key uint64, b *Batch) {
	switch key {
	case keyVersion:
		b.Version = int(r.upTo(majorUint, math.MaxInt32))
	case keyChain:
		b.Chain = make([][]byte, r.upTo(majorArray, MaxChain))
		for i := range b.Chain {
			b.Chain[i] = r.bytes()
		}
	case keyCheckpoint:
		b.Checkpoint = r.bytes()
	case keySteps:
		b.Steps = make([]Step, r.upTo(majorArray, MaxSteps))
		for i := range b.Steps {
			r.exactly(2)
			b.Steps[i].From = int64(r.upTo(majorUint, math.MaxInt64)) //nolint:gosec // bounded
			b.Steps[i].Path = r.bytes()
		}
	case keyHashes:
		b.Hashes = r.bytes()
	case keyEntries:
		b.Entries = make([]Entry, r.upTo(majorArray, MaxEntries))
		r.entries(b.Entries)
	case keyHeld:
		r.exactly(2)
		b.Held = &Tree{Size: int64(r.upTo(majorUint, math.MaxInt64))} //nolint:gosec // bounded
		b.Held.Root = r.bytes()
	default:
		r.other = true
	}
}

// entries reads as many entries as there is room for. Their paths share memory: they are of one batch.
func (r *reader) entries(into []Entry) {
	paths := make([]uint16, 0, len(into)*usualPath+1)
	for i := range into {
		if r.other {
			return
		}
		e := &into[i]
		r.exactly(4)
		e.Index = int64(r.upTo(majorUint, math.MaxInt64)) //nolint:gosec // bounded
		e.Kind = r.word()
		e.Body = r.bytes()
		from := len(paths)
		for range r.upTo(majorArray, maxPath) {
			paths = append(paths, uint16(r.upTo(majorUint, math.MaxUint16))) //nolint:gosec // bounded
		}
		e.Path = paths[from:len(paths):len(paths)]
	}
}

// exactly reads the beginning of a list of so many items.
func (r *reader) exactly(n uint64) { r.other = r.head(majorArray) != n || r.other }

// upTo reads a number, or the length of an item, that is at most so large; else it is zero.
func (r *reader) upTo(major byte, most uint64) uint64 {
	n := r.head(major)
	if n > most {
		r.other = true
	}
	if r.other {
		return 0
	}
	return n
}

// bytes reads a string of bytes, and copies it: what is kept of a batch must not keep all of it.
func (r *reader) bytes() []byte {
	n := r.upTo(majorBytes, uint64(len(r.rest)))
	if n > uint64(len(r.rest)) {
		r.other, n = true, 0
	}
	out := make([]byte, n)
	r.rest = r.rest[copy(out, r.rest):]
	return out
}

// word reads text of printable letters in ASCII.
func (r *reader) word() string {
	n := r.upTo(majorText, maxKind)
	if n > uint64(len(r.rest)) {
		r.other, n = true, 0
	}
	text := r.rest[:n]
	for _, letter := range text {
		r.other = r.other || letter < ' ' || letter > '~'
	}
	r.rest = r.rest[n:]
	return string(text)
}

// head reads what an item of a major type begins with, in the shortest form, and returns its argument.
func (r *reader) head(major byte) (n uint64) {
	if r.other = r.other || len(r.rest) == 0 || r.rest[0]&^0x1f != major; r.other {
		return 0
	}
	info := r.rest[0] & 0x1f
	r.rest = r.rest[1:]
	if info <= inPlace {
		return uint64(info)
	}
	size := 1 << (info - bytes1)
	if r.other = info > bytes8 || len(r.rest) < size; r.other {
		return 0
	}
	var least uint64 // what does not fit into a shorter form
	switch info {
	case bytes1:
		n, least = uint64(r.rest[0]), inPlace+1
	case bytes2:
		n, least = uint64(binary.BigEndian.Uint16(r.rest)), 1<<8
	case bytes4:
		n, least = uint64(binary.BigEndian.Uint32(r.rest)), 1<<16
	default:
		n, least = binary.BigEndian.Uint64(r.rest), 1<<32
	}
	r.rest, r.other = r.rest[size:], n < least
	return n
}
