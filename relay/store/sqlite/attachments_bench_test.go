// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// BenchmarkEnqueueBesideChunks shows what storing a message costs alone, and while
// chunks of the largest size are stored without any rest.
func BenchmarkEnqueueBesideChunks(b *testing.B) {
	for _, beside := range []bool{false, true} {
		b.Run(fmt.Sprintf("chunks=%v", beside), func(b *testing.B) {
			s, err := Open(b.Context(), Config{Path: filepath.Join(b.TempDir(), "relay.db")})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var storing sync.WaitGroup
			stored := 0
			if beside {
				storing.Go(func() {
					chunk := make([]byte, store.MaxChunk)
					for n := 0; ctx.Err() == nil; n++ {
						k := store.AttachmentKey{Direction: store.In, Peer: "bravo", SHA256: sha256.Sum256(fmt.Append(nil, n))}
						for at := int64(0); at < store.MaxAttachment && ctx.Err() == nil; at += store.MaxChunk {
							if _, err := s.AppendAttachment(ctx, k, store.MaxAttachment, at, chunk, generous); err == nil {
								stored++
							}
						}
					}
				})
			}
			var took []time.Duration
			for b.Loop() {
				begun := time.Now()
				if _, err := s.Enqueue(b.Context(), "bravo", func(serial int64) (store.Message, error) {
					return store.Message{ID: fmt.Sprint(serial), Precedence: "FLASH", Payload: make([]byte, 1024)}, nil
				}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
				<-time.After(time.Millisecond) // messages come now and then
			}
			cancel()
			storing.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(stored), "chunks")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
