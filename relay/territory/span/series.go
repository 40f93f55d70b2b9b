// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package span

import (
	"slices"
	"sort"
)

type key[K any] interface {
	comparable
	compare(K) int
	next() (K, bool) // false beyond the last one
	before() K
}

// series are ranges in ascending order that do not overlap.
type series[K key[K], V comparable] struct {
	lo, hi []K
	value  []V
}

type entry[K key[K], V comparable] struct {
	lo, hi K
	value  V
}

// joined makes one of the last two entries if they are neighbours with one value.
func joined[K key[K], V comparable](entries []entry[K, V]) []entry[K, V] {
	n := len(entries)
	if n < 2 || entries[n-2].value != entries[n-1].value {
		return entries
	}
	if next, more := entries[n-2].hi.next(); !more || next != entries[n-1].lo {
		return entries
	}
	entries[n-2].hi = entries[n-1].hi
	return entries[:n-1]
}

// build sorts and flattens. Entries that are open at a point stand on a stack, the
// one that counts on top.
func build[K key[K], V comparable](entries []entry[K, V]) series[K, V] {
	slices.SortStableFunc(entries, func(a, b entry[K, V]) int {
		if c := a.lo.compare(b.lo); c != 0 {
			return c
		}
		return b.hi.compare(a.hi)
	})
	var s series[K, V]
	var open []entry[K, V]
	var at K
	// closeUntil emits what ends before a point; false when nothing can follow.
	closeAll := func(before func(entry[K, V]) bool) bool {
		for len(open) > 0 && before(open[len(open)-1]) {
			top := open[len(open)-1]
			open = open[:len(open)-1]
			if top.hi.compare(at) < 0 {
				continue
			}
			s.add(at, top.hi, top.value)
			var more bool
			if at, more = top.hi.next(); !more {
				return false
			}
		}
		return true
	}
	for _, e := range entries {
		if !closeAll(func(top entry[K, V]) bool { return top.hi.compare(e.lo) < 0 }) {
			break
		}
		if len(open) > 0 && at.compare(e.lo) < 0 {
			s.add(at, e.lo.before(), open[len(open)-1].value)
		}
		at, open = e.lo, append(open, e)
	}
	closeAll(func(entry[K, V]) bool { return true })
	s.lo, s.hi, s.value = slices.Clip(s.lo), slices.Clip(s.hi), slices.Clip(s.value)
	return s
}

// add appends a range, or lengthens the one before that it continues.
func (s *series[K, V]) add(lo, hi K, v V) {
	if n := len(s.lo); n > 0 && s.value[n-1] == v && s.hi[n-1].compare(lo.before()) == 0 {
		s.hi[n-1] = hi
		return
	}
	s.lo, s.hi, s.value = append(s.lo, lo), append(s.hi, hi), append(s.value, v)
}

// within returns the value of the first part of lo to hi that has one. Whole tells
// that all of it has a value that is the same.
func within[K key[K], V comparable](s *series[K, V], lo, hi K, same func(a, b V) bool) (v V, ok, whole bool) {
	first := sort.Search(len(s.lo), func(i int) bool { return s.hi[i].compare(lo) >= 0 })
	if first == len(s.lo) || s.lo[first].compare(hi) > 0 {
		return v, false, false
	}
	v = s.value[first]
	at := lo
	for i := first; i < len(s.lo) && s.lo[i].compare(at) <= 0 && same(s.value[i], v); i++ {
		if s.hi[i].compare(hi) >= 0 {
			return v, true, true
		}
		at, _ = s.hi[i].next()
	}
	return v, true, false
}
