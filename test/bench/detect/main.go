// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command detect measures how soon real relays notice that a path is cut, how often they say so of one that
// is not, and how soon a hotline message arrives over the standby path. The network is that of package wan:
// "loopback" has no delay and no loss, "wan" 300 ms of round trip and 5 % of loss in each direction.
//
//	make bench-detect                a table
//	JSON=1 make bench-detect         one line of JSON for each figure
//	QUICK=1 make bench-detect        within five minutes
//	DURATION=65m make bench-detect   how long to listen for false alarms
//
// When a relay noticed is the time in its own log. A cut takes the packets that are under way, too. It needs root. It
// raises its own priority, and with it that of the relays, so that other work on the machine is not what is measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/certlink/certlink/test/bench/figures"
	"github.com/certlink/certlink/test/bench/relays"
)

func main() {
	only := flag.String("only", "cuts,failover,alarms", "what to measure, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench-detect:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

// quality of a network, the same on all its ways.
type quality struct {
	name  string
	delay time.Duration // one way
	loss  float64       // percent, one way
}

var (
	loopback = quality{name: "loopback"}
	far      = quality{name: "wan", delay: 150 * time.Millisecond, loss: 5}
)

// niceness of this program and the relays (setpriority(2)).
const niceness = -10

// bench is one run.
type bench struct {
	dir, binary string
	figures     figures.Set
	cuts        int // of each quality
	failovers   int
	duration    time.Duration
}

func run(ctx context.Context, only string) error {
	if err := hurry(); err != nil {
		say("measured among whatever else runs here: %v", err)
	}
	dir, err := os.MkdirTemp("", "certlink-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, cuts: 240, failovers: 40, duration: 65 * time.Minute}
	if figures.Quick() {
		b.cuts, b.failovers, b.duration = 40, 8, time.Minute
	}
	if text := os.Getenv("DURATION"); text != "" {
		if b.duration, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("reading DURATION: %w", err)
		}
	}
	if b.binary, err = relays.Build(ctx, dir); err != nil {
		return err
	}
	for part := range strings.SplitSeq(only, ",") {
		measure := map[string]func(context.Context) error{"cuts": b.allCuts, "failover": b.allFailovers, "alarms": b.alarms}[part]
		if measure == nil {
			return fmt.Errorf("-only %q: there are cuts, failover and alarms", part)
		}
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return b.figures.Print(os.Stdout)
}

// hurry raises the priority of all threads of this program, which its children inherit.
func hurry() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("raising the priority: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("raising the priority: %w", err)
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness); err != nil {
			return fmt.Errorf("raising the priority: %w", err)
		}
	}
	return nil
}

// milliseconds of a duration.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// say tells the user what goes on, with the time.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}
