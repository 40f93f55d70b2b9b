// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command faults runs the fault campaign of the hotline (package campaign) and prints what
// it found:
//
//	make bench-faults                     100,000 messages, 1,000 faults, at most two hours
//	SEED=7 make bench-faults              with another seed
//	QUICK=1 make bench-faults             what fits into five minutes
//	JSON=1 make bench-faults              one line of JSON for each figure
//
// It ends with status 1 when a promise is broken, tells the seed and where both stores are
// kept. It needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/certlink/certlink/test/bench/figures"
	"github.com/certlink/certlink/test/campaign"
)

// usualSeed is that of a run without SEED.
const usualSeed = 1

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c := campaign.Config{Seed: usualSeed, Messages: 100_000, Faults: 1000, Rollback: 2000, Within: 2 * time.Hour, Patience: 10 * time.Minute}
	if figures.Quick() {
		c.Messages, c.Faults, c.Rollback, c.Within = 15_000, 150, 300, 3*time.Minute
	}
	if text := os.Getenv("SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("reading SEED: %w", err)
		}
		c.Seed = seed
	}
	flag.IntVar(&c.Messages, "messages", c.Messages, "`number` of messages, both directions together")
	flag.IntVar(&c.Faults, "faults", c.Faults, "`number` of faults")
	flag.IntVar(&c.Rollback, "rollback", c.Rollback, "`number` of messages that a restored store lacks; 0 restores none")
	flag.DurationVar(&c.Within, "within", c.Within, "how `long` messages are sent and faults injected")
	flag.StringVar(&c.Relay, "relay", "", "the relay's `file`; empty builds it")
	flag.Parse()
	var err error
	if c.Dir, err = os.MkdirTemp("", "certlink-bench-"); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(c.Dir)
	c.Say = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	if c.Relay == "" {
		if c.Relay, err = campaign.Build(ctx, c.Dir); err != nil {
			return err
		}
	}
	result, err := c.Run(ctx)
	return errors.Join(err, report(c, result))
}

func report(c campaign.Config, r *campaign.Result) error {
	var set figures.Set
	count := func(name, target string, n int) {
		set.AddValue("faults."+name, "count", target, float64(n), max(1, r.Messages))
	}
	count("messages", ">= 100000", r.Messages)
	count("injected", ">= 1000", r.Faults())
	for _, name := range slices.Sorted(maps.Keys(r.Injected)) {
		count("injected."+name, "", r.Injected[name])
	}
	count("lost", "0", r.Lost)
	count("doubled", "0", r.Doubled)
	count("reordered", "0", r.Reordered)
	count("gaps", "0", r.Gaps)
	count("altered", "0", r.Altered)
	count("strange", "0", r.Strange)
	count("journals_damaged", "0", r.Damaged)
	count("rollbacks_unnamed", "0", r.Unnamed)
	count("requests_repeated", "", r.Repeated)
	set.AddValue("faults.seconds", "s", "", r.Took.Seconds(), 1)
	if err := set.Print(os.Stdout); err != nil {
		return err
	}
	if r.Kept != "" {
		return fmt.Errorf("a promise is broken, or the campaign did not end: seed %d, both stores and logs are in %s", c.Seed, r.Kept)
	}
	return nil
}
