// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/relay/store"
)

var benchView = store.View{Feed: "f", Peer: "bravo", Rule: "r"}

// addAndDecide puts a batch of new objects of 1,100 bytes, and decides them.
func addAndDecide(b *testing.B, s *Store, first, n int) {
	b.Helper()
	batch := make([]store.Object, n)
	for i := range batch {
		id := fmt.Sprintf("indicator--%032x", uint64(first+i)*0x9E3779B97F4A7C15)
		batch[i] = store.Object{ID: id, Type: "indicator", SpecVersion: "2.1", Version: time.Unix(1, 0), Raw: make([]byte, 1100)}
	}
	if _, err := s.PutObjects(b.Context(), "c", batch, "x"); err != nil {
		b.Fatal(err)
	}
	records, err := s.Undecided(b.Context(), benchView, []string{"c"}, n)
	if err != nil || len(records) != n {
		b.Fatal(len(records), err)
	}
	decisions := make([]store.Decision, len(records))
	for i, r := range records {
		decisions[i] = store.Decision{Seq: r.Seq, Share: true, Reason: "Allowed"}
	}
	if err := s.Decide(b.Context(), benchView, decisions); err != nil {
		b.Fatal(err)
	}
}

func openBench(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), Config{Path: filepath.Join(b.TempDir(), "relay.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkPut puts 200,000 new objects, as an import does, and tells the processor time of
// this process for each, checkpoints included.
func BenchmarkPut(b *testing.B) {
	const objects, imported = 200_000, 5000
	for b.Loop() {
		b.StopTimer()
		s, err := Open(b.Context(), Config{Path: filepath.Join(b.TempDir(), "relay.db")})
		if err != nil {
			b.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 2))
		b.StartTimer()
		var used time.Duration
		for first := 0; first < objects; first += imported {
			batch := make([]store.Object, imported)
			for i := range batch {
				id := fmt.Sprintf("indicator--%08x-0000-4000-8000-%012x", random.Uint32(), random.Uint64()>>16)
				batch[i] = store.Object{ID: id, Type: "indicator", SpecVersion: "2.1", Version: time.Unix(1, 0), Raw: make([]byte, 1100)}
			}
			before := processorTime(b)
			if _, err := s.PutObjects(b.Context(), "c", batch, fmt.Sprint(first)); err != nil {
				b.Fatal(err)
			}
			used += processorTime(b) - before
		}
		b.ReportMetric(float64(used.Nanoseconds())/1000/objects, "cpu-us/object")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func BenchmarkAddAndDecide(b *testing.B) {
	s := openBench(b)
	n := 0
	for b.Loop() {
		addAndDecide(b, s, n, 1000)
		n += 1000
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkPage reads pages of 100 at random places of a view and of a
// collection. Its time is the same at any size, which is the point.
func BenchmarkPage(b *testing.B) {
	for _, size := range []int{10_000, 1_000_000} {
		s := openBench(b)
		for n := 0; n < size; n += 5000 { // of which a page of undecided records has room
			addAndDecide(b, s, n, 5000)
		}
		first, err := s.ListObjects(b.Context(), "c", store.Query{Limit: 1})
		if err != nil {
			b.Fatal(err)
		}
		from, until := first.Records[0].DateAdded.UnixMicro(), s.now().UnixMicro()
		b.Run(fmt.Sprintf("collection_of_%d", size), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.ListObjects(b.Context(), "c", store.Query{Limit: 100, After: from + rand.Int64N(until-from)}); err != nil {
					b.Fatal(err)
				}
			}
		})
		// A hundredth of the way from either end: they should cost the same.
		for name, after := range map[string]int64{
			"view_of_%d_at_its_beginning": from + (until-from)/100, "view_of_%d_at_its_end": until - (until-from)/100,
		} {
			b.Run(fmt.Sprintf(name, size), func(b *testing.B) {
				for b.Loop() {
					if _, err := s.ListView(b.Context(), benchView, []string{"c"}, store.Query{Limit: 100, After: after}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		for name, q := range map[string]store.Query{
			"view_of_%d":                  {Limit: 100},
			"last_versions_in_view_of_%d": {Limit: 100, Versions: store.Versions{Last: true}, NewestSpec: true},
		} {
			b.Run(fmt.Sprintf(name, size), func(b *testing.B) {
				for b.Loop() {
					q.After = from + rand.Int64N(until-from)
					if _, err := s.ListView(b.Context(), benchView, []string{"c"}, q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
