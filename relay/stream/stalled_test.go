// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package stream_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// TestAStreamThatNobodyReadsHoldsOneBuffer lets the other side of many streams take nothing, as a peer may that asks for many tunnels.
func TestAStreamThatNobodyReadsHoldsOneBuffer(t *testing.T) {
	const streams, most = 24, 100 << 10
	release := make(chan struct{})
	var opened []*stream.Stream
	for range streams {
		p := newPair(t, setup{listener: func(s *stream.Stream) { <-release; s.Abort() }})
		opened = append(opened, p.dialer.open(t))
	}
	text, before := make([]byte, 64<<10), heap()
	var writing sync.WaitGroup
	for _, s := range opened {
		writing.Go(func() {
			for {
				if _, err := s.Write(text); err != nil {
					return
				}
			}
		})
	}
	defer writing.Wait()
	defer close(release)
	stall(t, opened)
	each := (heap() - before) / streams
	for deadline := time.Now().Add(patience); each > most && time.Now().Before(deadline); {
		stall(t, opened) // on a busy machine a writer may stand still without a stalled stream
		each = (heap() - before) / streams
	}
	if each > most {
		t.Errorf("each holds %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(text)
}

// stall waits until a write of each stream does not go on.
func stall(t *testing.T, all []*stream.Stream) {
	t.Helper()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	last := make([]uint64, len(all))
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		<-tick.C
		stalled := 0
		for i, s := range all {
			now := s.Conn().Writes()
			if now%2 == 1 && now == last[i] {
				stalled++
			}
			last[i] = now
		}
		if stalled == len(all) {
			return
		}
	}
	t.Fatal("the other side takes everything")
}

// heap is how much of it is in use, without what waits in pools.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
