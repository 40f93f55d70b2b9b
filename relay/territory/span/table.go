// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package span

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"unsafe"
)

// Table gives values to ranges of addresses and of numbers.
type Table[V comparable] struct {
	four, numbers ordered[V]
	six           series[long, V]
}

// Builder collects ranges for a Table. Its zero value is ready.
type Builder[V comparable] struct {
	four, numbers []entry[word, V]
	six           []entry[long, V]
}

// Prefix adds a network.
func (b *Builder[V]) Prefix(p netip.Prefix, v V) {
	p = p.Masked()
	if a := p.Addr(); a.Is4() {
		lo := wordOf(a)
		b.four = append(b.four, entry[word, V]{lo, lo | word(uint64(1)<<(32-p.Bits())-1), v})
		return
	}
	lo := longOf(p.Addr())
	b.six = append(b.six, entry[long, V]{lo, lo.or(p.Bits()), v})
}

// Next adds a network that lies beyond all those before. Neighbours with the same
// value become one range at once, so that a long walk takes little memory.
func (b *Builder[V]) Next(p netip.Prefix, v V) {
	b.Prefix(p, v)
	if p.Addr().Is4() {
		b.four = joined(b.four)
	} else {
		b.six = joined(b.six)
	}
}

// Four adds count IPv4 addresses from first on; false if they go beyond the last one
// or are none.
func (b *Builder[V]) Four(first netip.Addr, count uint64, v V) bool {
	lo := wordOf(first)
	last := uint64(lo) + count - 1
	if count == 0 || count > 1<<32 || last > 1<<32-1 {
		return false
	}
	b.four = append(b.four, entry[word, V]{lo, word(last), v})
	return true
}

// Numbers adds count numbers from first on; false as Four.
func (b *Builder[V]) Numbers(first uint32, count uint64, v V) bool {
	last := uint64(first) + count - 1
	if count == 0 || count > 1<<32 || last > 1<<32-1 {
		return false
	}
	b.numbers = append(b.numbers, entry[word, V]{word(first), word(last), v})
	return true
}

// Len is the number of ranges added.
func (b *Builder[V]) Len() int { return len(b.four) + len(b.six) + len(b.numbers) }

// Table makes the table. The builder is not used afterwards.
func (b *Builder[V]) Table() *Table[V] {
	return &Table[V]{four: newOrdered(build(b.four)), numbers: newOrdered(build(b.numbers)), six: build(b.six)}
}

// Address returns the value of an address; IPv4 is written as IPv4.
func (t *Table[V]) Address(a netip.Addr) (v V, ok bool) {
	if a.Is4() {
		return find32(&t.four, wordOf(a))
	}
	return find128(&t.six, longOf(a))
}

// Number returns the value of a number.
func (t *Table[V]) Number(n uint32) (v V, ok bool) { return find32(&t.numbers, word(n)) }

// Network returns the value of a network, or of the first part of it that has one.
// Whole tells that all of it has one, the same everywhere. It takes time in proportion
// to the number of parts.
func (t *Table[V]) Network(p netip.Prefix, same func(a, b V) bool) (v V, ok, whole bool) {
	p = p.Masked()
	if a := p.Addr(); a.Is4() {
		lo := wordOf(a)
		return within(&t.four.series, lo, lo|word(uint64(1)<<(32-p.Bits())-1), same)
	}
	lo := longOf(p.Addr())
	return within(&t.six, lo, lo.or(p.Bits()), same)
}

// Len is the number of ranges; neighbours with the same value are one.
func (t *Table[V]) Len() int { return len(t.four.lo) + len(t.six.lo) + len(t.numbers.lo) }

// Bytes is the memory that the table takes.
func (t *Table[V]) Bytes() int {
	var v V
	size := int(unsafe.Sizeof(v))
	return (len(t.four.lo)+len(t.numbers.lo))*(8+size) + (len(t.four.index)+len(t.numbers.index))*4 + len(t.six.lo)*(32+size)
}

// find32 searches by hand: a call for each step would cost more than the steps.
func find32[V comparable](s *ordered[V], at word) (v V, ok bool) {
	from, to := 0, len(s.lo)
	if s.index != nil {
		slot := at >> s.shift
		from, to = int(s.index[slot]), int(s.index[slot+1])
	}
	for from < to {
		middle := int(uint(from+to) >> 1)
		if s.lo[middle] <= at {
			from = middle + 1
		} else {
			to = middle
		}
	}
	if from == 0 || s.hi[from-1] < at {
		return v, false
	}
	return s.value[from-1], true
}

// ordered is a series of words with an index by their highest bits: most steps of a
// search miss the processor's cache, and the index saves three in four.
type ordered[V comparable] struct {
	series[word, V]
	shift uint
	// index holds for each slot the number of ranges that begin before it; nil for a
	// short series.
	index []uint32
}

// indexFrom is the shortest series that has an index, and rangesPerSlot how many
// ranges there are for each slot, at least.
const (
	indexFrom     = 1024
	rangesPerSlot = 4
)

func newOrdered[V comparable](s series[word, V]) ordered[V] {
	o := ordered[V]{series: s}
	if len(s.lo) < indexFrom {
		return o
	}
	width := bits.Len(uint(len(s.lo)/rangesPerSlot)) - 1
	o.shift = 32 - uint(width)
	o.index = make([]uint32, 1<<width+1)
	at := 0
	for slot := range o.index {
		for at < len(s.lo) && uint64(s.lo[at]) < uint64(slot)<<o.shift {
			at++
		}
		o.index[slot] = uint32(at)
	}
	return o
}

func find128[V comparable](s *series[long, V], at long) (v V, ok bool) {
	from, to := 0, len(s.lo)
	for from < to {
		middle := int(uint(from+to) >> 1)
		if m := &s.lo[middle]; m.high < at.high || m.high == at.high && m.low <= at.low {
			from = middle + 1
		} else {
			to = middle
		}
	}
	if from == 0 || s.hi[from-1].compare(at) < 0 {
		return v, false
	}
	return s.value[from-1], true
}

// word and long are the keys of a series.
type word uint32

func wordOf(a netip.Addr) word {
	b := a.As4()
	return word(binary.BigEndian.Uint32(b[:]))
}

func (w word) compare(o word) int {
	switch {
	case w < o:
		return -1
	case w > o:
		return 1
	}
	return 0
}

func (w word) next() (word, bool) { return w + 1, w != 1<<32-1 }
func (w word) before() word       { return w - 1 }

type long struct{ high, low uint64 }

func longOf(a netip.Addr) long {
	b := a.As16()
	return long{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// or is the last address of the network of that many bits that begins here.
func (l long) or(bits int) long {
	if bits <= 64 {
		return long{l.high | (1<<(64-bits) - 1), 1<<64 - 1}
	}
	return long{l.high, l.low | (1<<(128-bits) - 1)}
}

func (l long) compare(o long) int {
	switch {
	case l == o:
		return 0
	case l.high < o.high || l.high == o.high && l.low < o.low:
		return -1
	}
	return 1
}

func (l long) next() (long, bool) {
	n := long{l.high, l.low + 1}
	if n.low == 0 {
		n.high++
	}
	return n, n != long{}
}

func (l long) before() long {
	if l.low == 0 {
		l.high--
	}
	l.low--
	return l
}
