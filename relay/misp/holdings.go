// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"cmp"
	"slices"
)

// heldBy says that a report refers to an object. It holds while turn is the present one of the report.
type heldBy struct {
	object uint64
	report int32
	turn   uint32
}

func (a heldBy) compare(b heldBy) int {
	return cmp.Or(cmp.Compare(a.object, b.object), cmp.Compare(a.report, b.report), cmp.Compare(a.turn, b.turn))
}

// holdings are what the reports of a catalogue refer to, millions at most. A report is replaced
// without a look at those of others: what it said before is passed over by its turn, and what is new is merged
// when there is much of it.
type holdings struct {
	// sorted is never changed, only replaced: those who write events read it meanwhile.
	sorted []heldBy
	// recent are by object what came since sorted was made, so many of them.
	recent map[uint64][]heldBy
	fresh  int
	// turns and counts are those of each report, live the sum of counts. stale: some that do not hold
	// any more are among sorted or recent.
	turns, counts []uint32
	live          int
	stale         bool
}

// mergeFrom is how many recent references are merged at once, at least: a quarter of those that are sorted, so that
// all merges together copy a few times what there is.
const mergeFrom = 1 << 16

// replace says what a report refers to from now on, as much as there is room for.
func (r *holdings) replace(report int32, ids []string) {
	if missing := int(report) + 1 - len(r.turns); missing > 0 {
		r.turns, r.counts = append(r.turns, make([]uint32, missing)...), append(r.counts, make([]uint32, missing)...)
	}
	if r.recent == nil {
		r.recent = map[uint64][]heldBy{}
	}
	r.live -= int(r.counts[report])
	r.stale = r.stale || r.counts[report] > 0
	r.turns[report]++
	ids = ids[:min(len(ids), maxReferences-r.live)]
	for _, id := range ids {
		object := hashOf(id)
		r.recent[object] = append(r.recent[object], heldBy{object, report, r.turns[report]})
	}
	r.counts[report] = uint32(len(ids)) //nolint:gosec // at most maxReferences
	r.live, r.fresh = r.live+len(ids), r.fresh+len(ids)
	if r.fresh >= max(mergeFrom, len(r.sorted)/4) {
		r.settle()
	}
}

func (r *holdings) holds(h heldBy) bool { return r.turns[h.report] == h.turn }

// settle merges what is recent, and returns all that hold, sorted.
func (r *holdings) settle() []heldBy {
	if r.fresh == 0 && !r.stale {
		return r.sorted
	}
	gone := func(h heldBy) bool { return !r.holds(h) }
	fresh, sorted := make([]heldBy, 0, r.fresh), r.sorted
	for _, list := range r.recent {
		fresh = append(fresh, list...)
	}
	if r.stale {
		fresh, sorted = slices.DeleteFunc(fresh, gone), slices.DeleteFunc(slices.Clone(sorted), gone)
	}
	// A map that is cleared keeps the room for as many as it ever had.
	r.sorted, r.recent, r.fresh, r.stale = merged(sorted, fresh), nil, 0, false
	return r.sorted
}

// merged adds references to sorted ones. The sum is another slice.
func merged(sorted, fresh []heldBy) []heldBy {
	slices.SortFunc(fresh, heldBy.compare)
	all := make([]heldBy, 0, len(sorted)+len(fresh))
	for _, h := range fresh {
		i, _ := slices.BinarySearchFunc(sorted, h, heldBy.compare)
		all = append(append(all, sorted[:i]...), h)
		sorted = sorted[i:]
	}
	return append(all, sorted...)
}

// holders are the reports that refer to an object, in order.
func (r *holdings) holders(id string) []int32 {
	object := hashOf(id)
	i, _ := slices.BinarySearchFunc(r.sorted, heldBy{object: object}, heldBy.compare)
	var list []int32
	for ; i < len(r.sorted) && r.sorted[i].object == object; i++ {
		if r.holds(r.sorted[i]) {
			list = append(list, r.sorted[i].report)
		}
	}
	for _, h := range r.recent[object] {
		if r.holds(h) {
			list = append(list, h.report)
		}
	}
	slices.Sort(list)
	return list
}
