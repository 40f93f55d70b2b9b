// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

var benchView = store.View{Feed: "f", Peer: "bravo", Rule: "r"}

// benchBatch are new objects of 1,100 bytes.
func benchBatch(first, n int) []store.Object {
	batch := make([]store.Object, n)
	for i := range batch {
		raw := make([]byte, 1100)
		for j := range raw {
			raw[j] = byte('a' + (j*7+i)%26)
		}
		id := fmt.Sprintf("indicator--%032x", uint64(first+i)*0x9E3779B97F4A7C15)
		batch[i] = store.Object{ID: id, Type: "indicator", SpecVersion: "2.1", Version: time.Unix(1, 0), Raw: raw}
	}
	return batch
}

// meter counts the processor time of this process and of the server.
type meter struct {
	server *testpostgres.Server
	began  time.Duration
}

func newMeter(b *testing.B) *meter {
	b.Helper()
	m := &meter{server: testpostgres.Shared(b)}
	m.began = m.used(b)
	return m
}

func (m *meter) used(b *testing.B) time.Duration {
	b.Helper()
	server, err := m.server.CPU()
	if err != nil {
		b.Fatal(err)
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	return server + time.Duration(own.Utime.Nano()+own.Stime.Nano())
}

func (m *meter) report(b *testing.B, objects int) {
	b.Helper()
	b.ReportMetric(float64(objects)/(m.used(b)-m.began).Seconds(), "objects/cpu-s")
	b.ReportMetric(float64(objects)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkPut measures ways to add objects that are not there yet, 10,000 a
// commit. The store uses the first.
func BenchmarkPut(b *testing.B) {
	for _, way := range []struct {
		name string
		put  func(ctx context.Context, s *Store, batch []store.Object) error
	}{
		{"look_and_copy", func(ctx context.Context, s *Store, batch []store.Object) error {
			_, err := s.PutObjects(ctx, "c", batch, "x")
			return err
		}},
		{"unnest_on_conflict", func(ctx context.Context, s *Store, batch []store.Object) error {
			return s.changeFeeds(ctx, "putting", func(ctx context.Context, tx pgx.Tx) error { return s.putByUnnest(ctx, tx, batch) })
		}},
		{"stage_on_conflict", func(ctx context.Context, s *Store, batch []store.Object) error {
			return s.changeFeeds(ctx, "putting", func(ctx context.Context, tx pgx.Tx) error { return s.putByStage(ctx, tx, batch) })
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			s := open(b)
			if err := way.put(b.Context(), s, benchBatch(1<<30, 1)); err != nil {
				b.Fatal(err)
			}
			const size = 10_000
			m := newMeter(b)
			n := 0
			for b.Loop() {
				b.StopTimer()
				batch := benchBatch(n, size)
				b.StartTimer()
				if err := way.put(b.Context(), s, batch); err != nil {
					b.Fatal(err)
				}
				n += size
			}
			m.report(b, n)
		})
	}
}

func (s *Store) putByUnnest(ctx context.Context, tx pgx.Tx, batch []store.Object) error {
	first, err := s.tick(ctx, tx, len(batch))
	if err != nil {
		return err
	}
	seqs, versions, ids, raws := make([]int64, len(batch)), make([]int64, len(batch)), make([]string, len(batch)), make([][]byte, len(batch))
	for i, o := range batch {
		seqs[i], versions[i], ids[i], raws[i] = first+int64(i), versionMicros(o.Version), o.ID, o.Raw
	}
	rows, err := tx.Query(ctx, `INSERT INTO objects (seq, version, collection, type, revoked, stix_id, spec, raw)
		SELECT seq, version, 1, 1, false, id, '2.1', raw FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[]) u (seq, version, id, raw)
		ON CONFLICT (collection, stix_id, spec, version) DO NOTHING RETURNING seq`, seqs, versions, ids, raws)
	if err != nil {
		return err
	}
	_, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	return err
}

func (s *Store) putByStage(ctx context.Context, tx pgx.Tx, batch []store.Object) error {
	if _, err := tx.Exec(ctx, "CREATE TEMP TABLE IF NOT EXISTS stage (seq bigint, version bigint, id text, raw bytea) ON COMMIT DELETE ROWS"); err != nil {
		return err
	}
	first, err := s.tick(ctx, tx, len(batch))
	if err != nil {
		return err
	}
	next := 0
	if err := copyIn(ctx, tx, "COPY stage (seq, version, id, raw) FROM STDIN BINARY", func(w *copyWriter) bool {
		if next == len(batch) {
			return false
		}
		w.row(4)
		w.int64(first + int64(next))
		w.int64(versionMicros(batch[next].Version))
		w.text(batch[next].ID)
		w.bytes(batch[next].Raw)
		next++
		return true
	}); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `INSERT INTO objects (seq, version, collection, type, revoked, stix_id, spec, raw)
		SELECT seq, version, 1, 1, false, id, '2.1', raw FROM stage ON CONFLICT (collection, stix_id, spec, version) DO NOTHING RETURNING seq`)
	if err != nil {
		return err
	}
	_, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	return err
}

// BenchmarkPutAgain adds what is stored already.
func BenchmarkPutAgain(b *testing.B) {
	s := open(b)
	batch := benchBatch(0, 10_000)
	if _, err := s.PutObjects(b.Context(), "c", batch, "x"); err != nil {
		b.Fatal(err)
	}
	m := newMeter(b)
	n := 0
	for b.Loop() {
		if _, err := s.PutObjects(b.Context(), "c", batch, "x"); err != nil {
			b.Fatal(err)
		}
		n += len(batch)
	}
	m.report(b, n)
}

// addAndDecide puts a batch of new objects, and decides them.
func addAndDecide(b *testing.B, s *Store, first, n int) {
	b.Helper()
	if _, err := s.PutObjects(b.Context(), "c", benchBatch(first, n), "x"); err != nil {
		b.Fatal(err)
	}
	records, err := s.Undecided(b.Context(), benchView, []string{"c"}, n)
	if err != nil {
		b.Fatal(err)
	}
	decisions := make([]store.Decision, len(records))
	for i, r := range records {
		decisions[i] = store.Decision{Seq: r.Seq, Share: true, Reason: "Allowed"}
	}
	if err := s.Decide(b.Context(), benchView, decisions); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDecide reads undecided objects and decides them, as an export does.
func BenchmarkDecide(b *testing.B) {
	s := open(b)
	n := 0
	m := newMeter(b)
	for b.Loop() {
		b.StopTimer()
		before := m.used(b)
		if _, err := s.PutObjects(b.Context(), "c", benchBatch(n, 5000), "x"); err != nil {
			b.Fatal(err)
		}
		m.began += m.used(b) - before
		b.StartTimer()
		for range 5 {
			records, err := s.Undecided(b.Context(), benchView, []string{"c"}, 1000)
			if err != nil || len(records) != 1000 {
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
		n += 5000
	}
	m.report(b, n)
}

// BenchmarkPage reads pages of 1000 at random places of a view and of a
// collection. Its time is the same at any size, which is the point.
func BenchmarkPage(b *testing.B) {
	for _, size := range []int{10_000, 200_000} {
		s := open(b)
		for n := 0; n < size; n += 5000 {
			addAndDecide(b, s, n, 5000)
		}
		first, err := s.ListObjects(b.Context(), "c", store.Query{Limit: 1})
		if err != nil {
			b.Fatal(err)
		}
		from, until := first.Records[0].DateAdded.UnixMicro(), s.now().UnixMicro()
		run := func(name string, list func(ctx context.Context, after int64) (store.Page, error)) {
			b.Run(fmt.Sprintf("%s_of_%d", name, size), func(b *testing.B) {
				m := newMeter(b)
				n := 0
				for b.Loop() {
					page, err := list(b.Context(), from+rand.Int64N(until-from))
					if err != nil {
						b.Fatal(err)
					}
					n += len(page.Records)
				}
				m.report(b, n)
			})
		}
		run("collection", func(ctx context.Context, after int64) (store.Page, error) {
			return s.ListObjects(ctx, "c", store.Query{Limit: 1000, After: after})
		})
		run("view", func(ctx context.Context, after int64) (store.Page, error) {
			return s.ListView(ctx, benchView, []string{"c"}, store.Query{Limit: 1000, After: after})
		})
		run("last_in_view", func(ctx context.Context, after int64) (store.Page, error) {
			return s.ListView(ctx, benchView, []string{"c"}, store.Query{Limit: 1000, After: after, Versions: store.Versions{Last: true}, NewestSpec: true})
		})
	}
}
