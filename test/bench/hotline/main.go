// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command hotline measures what a message costs on the hotline between two relays, beside
// two NATS JetStream servers that store and confirm as much, in the same run.
//
//	make bench-hotline            a table
//	JSON=1 make bench-hotline     one line of JSON for each figure
//	QUICK=1 make bench-hotline    within five minutes, with fewer messages under the same names
//
// go run ./test/bench/hotline -only single,load,flash runs a part of it; -cpuprofile FILE
// writes where the time of the first two goes. docs/benchmarks/hotline.md says what the
// figures mean.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"

	"github.com/certlink/certlink/test/bench/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-hotline:", err)
		os.Exit(1)
	}
}

// bench is one run of this program.
type bench struct {
	dir     string
	scale   scale
	results figures.Set
}

// scale says how many messages and rounds.
type scale struct {
	// singles are messages sent one at a time; rounds of bulk messages of 64 senders,
	// natsBulk of NATS.
	singles, rounds, bulk, natsBulk int
	// idle and busy are messages of precedence FLASH; queued are those before them.
	idle, busy, queued, objects int
}

func scaleOf(quick bool) scale {
	if quick {
		return scale{singles: 1000, rounds: 5, bulk: 10_000, natsBulk: 5_000, idle: 1000, busy: 1000, queued: 10_000, objects: 15_000}
	}
	return scale{singles: 5000, rounds: 9, bulk: 50_000, natsBulk: 20_000, idle: 1000, busy: 1000, queued: 10_000, objects: 100_000}
}

// parts in the order in which they run.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"single", (*bench).single},
	{"load", (*bench).load},
	{"flash", (*bench).flash},
}

func run(ctx context.Context) error {
	only := flag.String("only", "", "the `parts` to run, separated by commas; empty runs all")
	profile := flag.String("cpuprofile", "", "`file` for a CPU profile of this process")
	flag.Parse()
	dir, err := os.MkdirTemp("", "certlink-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			return fmt.Errorf("making the profile: %w", err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	b := &bench{dir: dir, scale: scaleOf(figures.Quick())}
	for _, part := range parts {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), part.name) {
			continue
		}
		if err := part.run(b, ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", part.name, err)
		}
	}
	return b.results.Print(os.Stdout)
}

// single alternates a message, a write of the disk, a round trip, and at times some of NATS.
func (b *bench) single(ctx context.Context) error {
	w, err := found(ctx, filepath.Join(b.dir, "single"))
	if err != nil {
		return err
	}
	defer w.stop()
	other, err := startNATS(ctx, b.dir)
	if err != nil {
		return err
	}
	defer other.stop()
	d, err := newDisk(b.dir)
	if err != nil {
		return err
	}
	defer d.file.Close()
	e, err := newEcho(ctx)
	if err != nil {
		return err
	}
	defer e.conn.Close()
	var ours, warm stages
	var syncs, trips, theirs []float64
	for range b.scale.singles / 10 {
		if err := w.one(ctx, &warm); err != nil {
			return err
		}
	}
	const slice = 50
	for i := range b.scale.singles {
		ms, err := d.sync()
		if err != nil {
			return err
		}
		syncs = append(syncs, ms)
		if ms, err = e.trip(); err != nil {
			return err
		}
		trips = append(trips, ms)
		if err := w.one(ctx, &ours); err != nil {
			return err
		}
		if i%slice == slice-1 {
			a, err := other.run(slice, 1)
			if err != nil {
				return err
			}
			theirs = append(theirs, a.Done...)
		}
	}
	target := figures.Quantile(syncs, 0.5) + 0.4 + figures.Quantile(trips, 0.5)
	b.results.Add("hotline.p50_ms", "ms", fmt.Sprintf("<= %.3f", target), ours.done)
	b.results.Add("hotline.fsync_p50_ms", "ms", "", syncs)
	b.results.Add("hotline.round_trip_p50_ms", "ms", "", trips)
	b.results.Add("hotline.stored_here_p50_ms", "ms", "", ours.here)
	b.results.Add("hotline.stored_there_p50_ms", "ms", "", ours.there)
	b.results.AddQuantile("hotline.p99_ms", "ms", "", ours.done, 0.99)
	b.results.Add("hotline.nats_p50_ms", "ms", "", theirs)
	return nil
}

// load alternates rounds of both.
func (b *bench) load(ctx context.Context) error {
	w, err := found(ctx, filepath.Join(b.dir, "load"))
	if err != nil {
		return err
	}
	defer w.stop()
	other, err := startNATS(ctx, filepath.Join(b.dir, "load"))
	if err != nil {
		return err
	}
	defer other.stop()
	var ours, costs, theirs, ratios []float64
	for round := range b.scale.rounds + 1 {
		mine, err := w.load(ctx, b.scale.bulk)
		if err != nil {
			return err
		}
		a, err := other.run(b.scale.natsBulk, senders)
		if err != nil {
			return err
		}
		if round == 0 {
			continue // warm
		}
		nats := float64(b.scale.natsBulk) / a.Seconds
		ours, costs = append(ours, mine.perSecond), append(costs, mine.processor)
		theirs, ratios = append(theirs, nats), append(ratios, mine.perSecond/nats)
	}
	b.results.Add("hotline.msgs_per_s.s64", "1/s", ">= 15000", ours)
	b.results.Add("hotline.cpu_ms_per_msg.s64", "ms", "<= 0.133", costs)
	b.results.Add("hotline.nats_msgs_per_s.s64", "1/s", "", theirs)
	b.results.Add("hotline.vs_nats.s64", "ratio", ">= 10", ratios)
	return nil
}
