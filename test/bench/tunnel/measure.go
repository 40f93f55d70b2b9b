// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/certlink/certlink/test/bench/figures"
)

// scale says how much is measured.
type scale struct {
	rounds      int
	bytes       uint64 // of one bulk transfer
	pings       int
	connections int
}

func scaleOf(quick bool) scale {
	if quick {
		return scale{rounds: 5, bytes: 1 << 30, pings: 4000, connections: 1000}
	}
	return scale{rounds: 9, bytes: 4 << 30, pings: 20_000, connections: 4000}
}

// idleConnections are held open when memory is measured.
const idleConnections = 1000

// parallelConnections are opened at once when new ones are measured.
const parallelConnections = 4

// What is measured of each pair, in each round but for memory.
const (
	perGB1  = "CPU s/GB, 1 stream"
	perGB16 = "CPU s/GB, 16 streams"
	speed1  = "GB/s, 1 stream"
	speed16 = "GB/s, 16 streams"
	opening = "CPU ms per new connection"
	round   = "64-byte round trip p50 µs"
	idle    = "MB with 1,000 idle connections"
)

var measures = []string{perGB1, perGB16, speed1, speed16, opening, round, idle}

// results hold the samples by measure and name of the pair.
type results map[string]map[string][]float64

func (r results) add(measure string, p pair, value float64) {
	if r[measure] == nil {
		r[measure] = map[string][]float64{}
	}
	r[measure][p.name] = append(r[measure][p.name], value)
}

// The parts of the measurement.
const (
	partIdle      = "idle"
	partBulk1     = "bulk1"
	partBulk16    = "bulk16"
	partOpening   = "opening"
	partRoundTrip = "roundtrip"
)

var parts = []string{partIdle, partBulk1, partBulk16, partOpening, partRoundTrip}

// measure runs all rounds; in each, every pair has its turn.
func measure(ctx context.Context, pairs []pair, s scale, only list) (results, error) {
	r := results{}
	for _, p := range pairs {
		if !only.has(partIdle) {
			break
		}
		if err := r.memory(ctx, p); err != nil {
			return nil, err
		}
	}
	if len(only) == 1 && only.has(partIdle) {
		return r, nil
	}
	for n := range s.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", n+1, s.rounds)
		for i := range pairs {
			p := pairs[(i+n)%len(pairs)] // nobody is always the first
			if err := r.round(ctx, p, s, only); err != nil {
				return nil, fmt.Errorf("measuring %s: %w", p.name, err)
			}
		}
		if only.has(partRoundTrip) {
			if err := r.roundTrips(ctx, pairs, s.pings); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// memory measures the pair while connections are open and idle.
func (r results) memory(ctx context.Context, p pair) error {
	release, err := crowd(ctx, p.address, idleConnections)
	if err != nil {
		return fmt.Errorf("measuring the memory of %s: %w", p.name, err)
	}
	defer release()
	select { // what is only needed for opening is given back
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
	}
	mb, err := p.memory()
	if err != nil {
		return err
	}
	r.add(idle, p, mb)
	return nil
}

func (r results) round(ctx context.Context, p pair, s scale, only list) error {
	if only.has(partBulk1) {
		if err := r.bulk(ctx, p, 1, s.bytes, perGB1, speed1); err != nil {
			return err
		}
	}
	if only.has(partBulk16) {
		if err := r.bulk(ctx, p, 16, s.bytes, perGB16, speed16); err != nil {
			return err
		}
	}
	if only.has(partOpening) {
		cpu, _, err := p.spend(func() error { return connections(ctx, p.address, s.connections, parallelConnections) })
		if err != nil {
			return err
		}
		r.add(opening, p, float64(cpu.Microseconds())/1000/float64(s.connections))
	}
	return nil
}

// turn is how many round trips a pair makes at once.
const turn = 200

// roundTrips measures n of each pair, in short turns on connections of their own: on which
// processors the kernel wakes the processes of a pair decides more than what they do, and
// stays as it is for a while.
func (r results) roundTrips(ctx context.Context, pairs []pair, n int) error {
	samples := make([][]float64, len(pairs))
	for done := 0; done < n; done += turn {
		for i := range pairs {
			at := (i + done/turn) % len(pairs)
			some, err := pings(ctx, pairs[at].address, turn)
			if err != nil {
				return fmt.Errorf("measuring %s: %w", pairs[at].name, err)
			}
			samples[at] = append(samples[at], some...)
		}
	}
	for i, p := range pairs {
		r.add(round, p, figures.Quantile(samples[i], 0.5))
	}
	return nil
}

// bulk measures a transfer over so many streams.
func (r results) bulk(ctx context.Context, p pair, streams int, bytes uint64, perGB, speed string) error {
	cpu, took, err := p.spend(func() error { return bulk(ctx, p.address, streams, bytes) })
	if err != nil {
		return err
	}
	gb := float64(bytes) / 1e9
	r.add(perGB, p, cpu.Seconds()/gb)
	r.add(speed, p, gb/took.Seconds())
	return nil
}

// spend does some work and returns the pair's processor time and the time for it.
func (p pair) spend(work func() error) (cpu, took time.Duration, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if err := work(); err != nil {
		return 0, 0, err
	}
	took = time.Since(begun)
	after, err := p.cpu()
	return after - before, took, err
}

// versus are the ratios of ours to another's, round by round.
func (r results) versus(measure, name string) []float64 {
	ours, theirs := r[measure]["certlink"], r[measure][name]
	ratios := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(theirs)) {
		ratios = append(ratios, ours[i]/theirs[i])
	}
	return ratios
}

// figures are the results by their names.
func (r results) figures() *figures.Set {
	var s figures.Set
	s.Add("tunnel.cpu_per_gb.vs_haproxy.s1", "ratio", "≤ 0.80", r.versus(perGB1, "haproxy"))
	s.Add("tunnel.cpu_per_gb.vs_haproxy.s16", "ratio", "≤ 0.70", r.versus(perGB16, "haproxy"))
	s.Add("tunnel.new_connection_cpu_ms", "ms", "≤ 0.3", r[opening]["certlink"])
	s.Add("tunnel.idle_1000_mb", "MB", "≤ 70", r[idle]["certlink"])
	s.Add("tunnel.rtt_p50.vs_haproxy", "ratio", "≤ 0.8", r.versus(round, "haproxy"))
	return &s
}

// compare prints the medians of all pairs side by side.
func (r results) compare(w io.Writer, pairs []pair) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "median of the rounds\t")
	for _, p := range pairs {
		fmt.Fprintf(table, "%s\t", p.name)
	}
	fmt.Fprintln(table)
	for _, m := range measures {
		if r[m] == nil {
			continue
		}
		fmt.Fprintf(table, "%s\t", m)
		for _, p := range pairs {
			fmt.Fprintf(table, "%.3g\t", figures.Quantile(r[m][p.name], 0.5))
		}
		fmt.Fprintln(table)
	}
	fmt.Fprintln(table)
	return table.Flush()
}
