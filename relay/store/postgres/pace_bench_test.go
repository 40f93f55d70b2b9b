// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// importer puts new objects without end, so many a commit, and rests so many times as long as it has worked.
type importer struct {
	s           *Store
	size, rests int
	put         int
}

func (i *importer) run(ctx context.Context, b *testing.B) {
	batch := benchBatch(1<<40, i.size)
	for ctx.Err() == nil {
		began := time.Now()
		for n := range batch {
			batch[n].ID = fmt.Sprintf("indicator--%032x", uint64(i.put+n)*0x9E3779B97F4A7C15)
		}
		if _, err := i.s.PutObjects(ctx, "c", batch, "x"); err != nil {
			if ctx.Err() == nil {
				b.Error(err)
			}
			return
		}
		i.put += len(batch)
		rest := time.NewTimer(time.Duration(i.rests) * time.Since(began))
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
		rest.Stop()
	}
}

// BenchmarkMessageBesideFeed stores messages of ours one by one, 5 ms apart, while objects of 1,100 bytes come in: none, as many a commit
// as there may be, or fewer, as an import does while messages are exchanged.
func BenchmarkMessageBesideFeed(b *testing.B) {
	for _, c := range []struct {
		name        string
		size, rests int
	}{{"alone", 0, 0}, {"10000_a_commit", 10000, 0}, {"5000_a_commit", 5000, 0}, {"500_a_commit", 500, 0}, {"1000_a_commit_with_rests", 1000, 2}, {"500_a_commit_with_rests", 500, 2}, {"200_a_commit_with_rests", 200, 2}, {"50_a_commit_with_rests", 50, 2}} {
		b.Run(c.name, func(b *testing.B) {
			s := open(b)
			if _, err := s.Enqueue(b.Context(), "bravo", benchMessage); err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			feed := &importer{s: s, size: c.size, rests: c.rests}
			var running sync.WaitGroup
			if c.size > 0 {
				running.Go(func() { feed.run(ctx, b) })
			}
			every := time.NewTicker(5 * time.Millisecond)
			defer every.Stop()
			var took []time.Duration
			began := time.Now()
			for b.Loop() {
				<-every.C
				asked := time.Now()
				if _, err := s.Enqueue(b.Context(), "bravo", benchMessage); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(asked))
			}
			elapsed := time.Since(began)
			stop()
			running.Wait()
			slices.Sort(took)
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
			}
			b.ReportMetric(float64(feed.put)/elapsed.Seconds(), "objects/s")
		})
	}
}

func benchMessage(serial int64) (store.Message, error) {
	id := fmt.Sprint("m", serial)
	return store.Message{ID: id, Conversation: id, Precedence: "FLASH", Payload: make([]byte, 1024)}, nil
}
