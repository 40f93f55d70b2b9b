// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command feed measures what it costs to bring STIX objects from one relay's store into another's,
// over the link: real relay processes, mutual TLS, commits fsynced.
//
//	make bench-feed            a table
//	JSON=1 make bench-feed     one line of JSON for each figure
//	QUICK=1 make bench-feed    within five minutes, with fewer objects under the same names
//
// go run ./test/bench/feed -only 200k,attack runs a part of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/certlink/certlink/test/bench/figures"
	"github.com/certlink/certlink/test/bench/relays"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-feed:", err)
		os.Exit(1)
	}
}

// bench is one run of this program.
type bench struct {
	dir, binary string
	scale       scale
	results     figures.Set
	// rss is the peak of each relay of each part.
	rss []float64
}

// scale says how many objects and samples.
type scale struct {
	small, large, attack, postgres, hotline, messages, pages, rules int
}

func scaleOf(quick bool) scale {
	if quick {
		return scale{small: 50_000, large: 200_000, attack: 30_000, postgres: 50_000, hotline: 30_000, messages: 200, pages: 30, rules: 200_000}
	}
	return scale{small: 200_000, large: 1_000_000, attack: 200_000, postgres: 200_000, hotline: 100_000, messages: 1000, pages: 100, rules: 1_000_000}
}

// parts in the order in which they run.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"rule", (*bench).rules},
	{"200k", (*bench).small},
	{"attack", (*bench).attack},
	{"hotline", (*bench).hotline},
	{"postgres", (*bench).postgres},
	{"1m", (*bench).large},
}

func run(ctx context.Context) error {
	only := flag.String("only", "", "the `parts` to run, separated by commas; empty runs all")
	binary := flag.String("relay", "", "the relay's `file`; empty builds it")
	flag.Parse()
	dir, err := os.MkdirTemp("", "certlink-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, binary: *binary, scale: scaleOf(figures.Quick())}
	if b.binary == "" {
		if b.binary, err = relays.Build(ctx, dir); err != nil {
			return err
		}
	}
	for _, part := range parts {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), part.name) {
			continue
		}
		if err := part.run(b, ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", part.name, err)
		}
	}
	b.results.AddQuantile("feed.rss_mb", "MB", "<= 300", b.rss, 1)
	return b.results.Print(os.Stdout)
}
