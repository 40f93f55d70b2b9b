// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command tunnel measures what a tunnel between two relays costs, side by side with Debian's
// haproxy, nginx and stunnel, in interleaved rounds on loopback.
//
//	make bench-tunnel            a table
//	JSON=1 make bench-tunnel     one line of JSON for each figure
//	QUICK=1 make bench-tunnel    within five minutes
//
//	go run ./test/bench/tunnel -only idle,roundtrip -pairs certlink,haproxy    a part of it
//
// The processor time is that of both proxies of a pair, not of the load.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/certlink/certlink/test/bench/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.Var(&o.only, "only", "`parts` to measure: "+strings.Join(parts, ", ")+"; all if it is not given")
	flag.Var(&o.pairs, "pairs", "`names` of the pairs to measure, certlink among them; all if it is not given")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-tunnel:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct{ only, pairs list }

// list is a flag: words between commas. The empty list has them all.
type list []string

func (l list) String() string { return strings.Join(l, ",") }

// Set is flag.Value.
func (l *list) Set(text string) error {
	*l = strings.Split(text, ",")
	return nil
}

func (l list) has(word string) bool { return len(l) == 0 || slices.Contains(l, word) }

func run(ctx context.Context, options options) error {
	rivals := slices.DeleteFunc(others(), func(o other) bool { return !options.pairs.has(o.name) })
	for _, o := range rivals {
		if _, err := exec.LookPath(o.command("")[0]); err != nil {
			return fmt.Errorf("finding %s: %w; apt-get install haproxy nginx-light libnginx-mod-stream stunnel4", o.name, err)
		}
	}
	dir, err := os.MkdirTemp("", "certlink-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	server, err := serve(ctx)
	if err != nil {
		return err
	}
	pairs, err := start(ctx, dir, server, rivals)
	defer func() {
		for _, p := range pairs {
			p.stop()
		}
	}()
	if err != nil {
		return err
	}
	results, err := measure(ctx, pairs, scaleOf(figures.Quick()), options.only)
	if err != nil {
		return err
	}
	if !figures.JSON() {
		if err := results.compare(os.Stdout, pairs); err != nil {
			return err
		}
	}
	return results.figures().Print(os.Stdout)
}

// start starts all pairs. Those that run are returned with an error too.
func start(ctx context.Context, dir, server string, rivals []other) ([]pair, error) {
	ours, err := certlinkPair(ctx, dir, server)
	if err != nil {
		return nil, err
	}
	pairs := []pair{ours}
	if err := ours.await(ctx); err != nil {
		return nil, err
	}
	for _, o := range rivals {
		p, err := o.pair(ctx, dir, server)
		if err != nil {
			return pairs, errors.Join(err)
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}
