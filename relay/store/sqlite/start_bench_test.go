// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// benchFiles copies a database, with or without its log, as kill -9 leaves it.
func benchFiles(b *testing.B, from, to string) {
	b.Helper()
	for _, suffix := range []string{"", "-wal"} {
		source, err := os.Open(from + suffix)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		target, err := os.Create(to + suffix)
		if err == nil {
			_, err = io.Copy(target, source)
		}
		if err != nil {
			b.Fatal(err)
		}
		_, _ = source.Close(), target.Close()
	}
}

// BenchmarkStartWithALog opens a database that was left with a log of 32 MiB, which is written again, and one that was
// left with none. Its files are in the kernel's memory.
func BenchmarkStartWithALog(b *testing.B) {
	s := openBench(b)
	left := filepath.Join(b.TempDir(), "left.db")
	s.checkpoints.most = math.MaxInt64
	for n := 0; logBytesOf(b, s) < largestLog; n += 1000 {
		addAndDecide(b, s, n, 1000)
	}
	benchFiles(b, s.path, left)
	log := logBytesOf(b, s)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, from string }{{"left_by_kill", left}, {"closed", s.path}} {
		b.Run(c.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "relay.db")
			for b.Loop() {
				b.StopTimer()
				benchFiles(b, c.from, path)
				b.StartTimer()
				s, err := Open(b.Context(), Config{Path: path})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(log)/(1<<20), "MiB-log")
		})
	}
}

func logBytesOf(b *testing.B, s *Store) int64 {
	b.Helper()
	info, err := s.log.Stat()
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// BenchmarkMigrationOfJournals opens databases of the schema before 0028, which copies all batches of all journals.
func BenchmarkMigrationOfJournals(b *testing.B) {
	registerKey()
	known, err := steps()
	if err != nil {
		b.Fatal(err)
	}
	version := slices.IndexFunc(known, func(name string) bool { return strings.Contains(name, "/0028_") })
	for _, batches := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(batches), func(b *testing.B) {
			old := filepath.Join(b.TempDir(), "old.db")
			db, err := openDB(dsn(old, "immediate", "journal_mode(WAL)", "synchronous(OFF)", "cache_size(-65536)"))
			if err != nil {
				b.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			for i, name := range known[:version] {
				if err := migrateStep(b.Context(), db, name, i+1); err != nil {
					b.Fatal(err)
				}
			}
			// Of four lines; each batch has one message, two hashes and what is signed, as one message alone makes.
			if _, err := db.ExecContext(b.Context(), `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
				INSERT INTO journals (peer, size, first, first_hash, next_hash, entries, hashes, root, signed, chain, stored_at)
				SELECT 'peer' || (i % 4), i / 4 + 1, i / 4, 2 * (i / 4), 2 * (i / 4) + 2, randomblob(60), randomblob(64), randomblob(32), randomblob(250), 1, i FROM n`, batches); err != nil {
				b.Fatal(err)
			}
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			path := filepath.Join(b.TempDir(), "relay.db")
			for b.Loop() {
				b.StopTimer()
				benchFiles(b, old, path)
				b.StartTimer()
				s, err := Open(b.Context(), Config{Path: path})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				info, err := os.Stat(path)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(logBytesOf(b, s))/(1<<20), "MiB-log")
				b.ReportMetric(float64(info.Size())/(1<<20), "MiB-file")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
