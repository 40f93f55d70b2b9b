// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/test/wan"
)

const (
	// paths are cut independently of each other; at most 8 addresses of a peer.
	paths = 8
	// unnoticed is when a cut counts as not noticed at all.
	unnoticed = 20 * time.Second
	// lookEvery is how often logs are read. What counts are the times in them.
	lookEvery = 20 * time.Millisecond
)

// allCuts measures on both kinds of network.
func (b *bench) allCuts(ctx context.Context) error {
	for _, q := range []quality{loopback, far} {
		if err := b.cutPaths(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// samples of one kind of network, in milliseconds.
type samples struct {
	mu     sync.Mutex // guards what follows
	both   []float64  // until both sides know
	oneWay []float64  // until the first side knows, and then both
	failed error
}

// cutPaths cuts each of several paths again and again, every third time in one direction only.
func (b *bench) cutPaths(ctx context.Context, q quality) error {
	w, err := b.found(ctx, q, paths, "alfa", "bravo")
	if err != nil {
		return err
	}
	defer w.close()
	say("cuts on %s", q.name)
	var s samples
	var work sync.WaitGroup
	for p := range paths {
		work.Go(func() {
			for i := range (b.cuts*3/2 + paths - 1) / paths {
				if ctx.Err() != nil || s.error() != nil {
					return
				}
				s.note(w.cutOnce(ctx, p, i%3-1))
			}
		})
	}
	work.Wait()
	if s.failed != nil {
		return s.failed
	}
	target := map[string]string{"loopback": "≤ 350", "wan": "≤ 1000"}[q.name]
	b.figures.AddQuantile("detect.cut_p50_ms."+q.name, "ms", "", s.both, 0.5)
	b.figures.AddQuantile("detect.cut_p99_ms."+q.name, "ms", target, s.both, 0.99)
	b.figures.AddQuantile("detect.one_way_cut_p50_ms."+q.name, "ms", "", s.oneWay, 0.5)
	b.figures.AddQuantile("detect.one_way_cut_p99_ms."+q.name, "ms", "", s.oneWay, 0.99)
	return ctx.Err()
}

func (s *samples) error() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *samples) note(took time.Duration, oneWay bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.failed = err
	case oneWay:
		s.oneWay = append(s.oneWay, milliseconds(took))
	default:
		s.both = append(s.both, milliseconds(took))
	}
}

// cutOnce cuts a path at a random moment and returns how long it took until both relays knew. which is -1 for a
// whole cut... 0 and 1 cut one direction; every third of them is whole.
func (w *world) cutOnce(ctx context.Context, path, which int) (took time.Duration, oneWay bool, err error) {
	alfa, bravo := w.net.Host("alfa"), w.net.Host("bravo")
	if err := w.calm(ctx, path); err != nil {
		return 0, false, err
	}
	there := wan.OneWay(alfa, bravo, bravo.Address(path))
	ways := w.between(alfa, bravo, path)
	switch {
	case which == 0 && path%2 == 0:
		ways, oneWay = there, true
	case which == 0:
		ways, oneWay = wan.Back(there), true
	}
	pause(ctx, rand.N(500*time.Millisecond))
	at := time.Now()
	if err := w.net.Cut(ways...); err != nil {
		return 0, oneWay, err
	}
	took, err = w.noticed(ctx, path, at)
	pause(ctx, rand.N(time.Second))
	if bent := w.bend(alfa, bravo, path); err == nil {
		err = bent
	}
	return took, oneWay, err
}

// calm waits until both sides have had the path for a while.
func (w *world) calm(ctx context.Context, path int) error {
	const calm = 3 * time.Second
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		calmly := true
		for i, peer := range []string{"bravo", "alfa"} {
			t, err := w.journal[i].last(peer, w.address("bravo", path))
			if err != nil {
				return err
			}
			there := t.To == report.Up || t.To == report.Recovering
			calmly = calmly && there && time.Since(t.Time) >= calm
		}
		if calmly {
			return nil
		}
		pause(ctx, lookEvery)
	}
	return fmt.Errorf("waiting for path %d after a cut: not back within a minute: %w", path, context.Cause(ctx))
}

// noticed waits until both relays have logged that a path is down.
func (w *world) noticed(ctx context.Context, path int, at time.Time) (took time.Duration, err error) {
	for time.Since(at) < unnoticed && ctx.Err() == nil {
		known := 0
		for i, peer := range []string{"bravo", "alfa"} {
			t, err := w.journal[i].last(peer, w.address("bravo", path))
			if err != nil {
				return 0, err
			}
			if t.To == report.Down && t.Time.After(at) {
				known++
				took = max(took, t.Time.Sub(at))
			}
		}
		if known == 2 {
			return took, nil
		}
		pause(ctx, lookEvery)
	}
	return unnoticed, ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
