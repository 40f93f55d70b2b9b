// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// BenchmarkFrame tells what a transaction costs besides what is done in it: from the taking of the
// turn until it is handed on, without the sync. read is one that shows nothing.
func BenchmarkFrame(b *testing.B) {
	for name, once := range map[string]func(*Store) error{
		"empty": func(s *Store) error {
			_, err := s.transact(b.Context(), feed, "benchmarking", func(*transaction) error { return nil })
			return err
		},
		"row": func(s *Store) error {
			_, err := s.transact(b.Context(), feed, "benchmarking", func(tx *transaction) error {
				_, err := tx.ExecContext(context.WithoutCancel(b.Context()), "UPDATE scratch SET n = n + 1")
				return err
			})
			return err
		},
		"read": func(s *Store) error {
			return s.GlanceLine(b.Context(), "bravo.example", func(store.LineReader) error { return nil })
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := openBench(b)
			for _, statement := range []string{"CREATE TABLE scratch (n INTEGER)", "INSERT INTO scratch VALUES (0)"} {
				if _, err := s.write.ExecContext(b.Context(), statement); err != nil {
					b.Fatal(err)
				}
			}
			cpu, n := processorTime(b), 0
			for b.Loop() {
				if err := once(s); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64((processorTime(b)-cpu)/time.Microsecond)/float64(n), "cpu-us/op")
		})
	}
}
