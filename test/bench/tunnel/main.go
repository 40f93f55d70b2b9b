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
// The processor time is that of both proxies of a pair, not of the load.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/certlink/certlink/test/bench/figures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-tunnel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	for _, o := range others() {
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
	pairs, err := start(ctx, dir, server)
	defer func() {
		for _, p := range pairs {
			p.stop()
		}
	}()
	if err != nil {
		return err
	}
	results, err := measure(ctx, pairs, scaleOf(figures.Quick()))
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
func start(ctx context.Context, dir, server string) ([]pair, error) {
	ours, err := certlinkPair(ctx, dir, server)
	if err != nil {
		return nil, err
	}
	pairs := []pair{ours}
	if err := ours.await(ctx); err != nil {
		return nil, err
	}
	for _, o := range others() {
		p, err := o.pair(ctx, dir, server)
		if err != nil {
			return pairs, errors.Join(err)
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}
