// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

func TestReferencesAreThoseOfTheNewestVersionOfEachReport(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r, want := holdings{}, map[int32][]string{}
	id := func() string { return fmt.Sprintf("x--%d", random.IntN(40)) }
	for step := range 3000 {
		report, ids := random.Int32N(30), []string{}
		for range random.IntN(6) {
			ids = append(ids, id())
		}
		r.replace(report, ids)
		want[report] = ids
		if step%50 == 0 {
			r.settle()
		}
		one := id()
		var holders []int32
		for n := range int32(30) {
			for _, named := range want[n] {
				if named == one {
					holders = append(holders, n)
				}
			}
		}
		if got := r.holders(one); !slices.Equal(got, holders) {
			t.Fatalf("step %d: %s is held by %v, want %v", step, one, got, holders)
		}
	}
	live := 0
	for _, ids := range want {
		live += len(ids)
	}
	if all := r.settle(); len(all) != live || r.live != live || !slices.IsSortedFunc(all, heldBy.compare) {
		t.Errorf("%d references are left, %d count, want %d", len(all), r.live, live)
	}
}

func TestReferencesHaveABound(t *testing.T) {
	var r holdings
	ids := make([]string, maxReferences/4+1)
	for i := range ids {
		ids[i] = "x--1"
	}
	for report := range int32(6) {
		r.replace(report%5, ids)
	}
	if all := r.settle(); len(all) != maxReferences {
		t.Errorf("%d references are kept, want %d", len(all), maxReferences)
	}
}

// A directory may have 100,000 reports, each with a new version now and then.
func TestAReportCostsWhatItNamesHoweverManyOthersThereAre(t *testing.T) {
	const reports, each = 5000, 40
	ids := make([]string, each)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var r holdings
	for n := range int32(2 * reports) {
		for i := range ids {
			ids[i] = fmt.Sprintf("x--%d-%d", n%reports, i)
		}
		r.replace(n%reports, ids)
	}
	r.settle()
	runtime.ReadMemStats(&after)
	// To copy all for each report is 16 bytes * 40 * 5000 * 5000 * 1.5.
	if took := after.TotalAlloc - before.TotalAlloc; took > 500<<20 {
		t.Errorf("%d MiB were taken for %d references", took>>20, r.live)
	}
}
