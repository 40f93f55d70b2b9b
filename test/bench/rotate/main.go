// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command rotate replaces leaves and roots of two running relays again and again, under a load of
// hotline messages in both directions and of tunnels that stay open, and counts what breaks.
//
//	make bench-rotate            a table
//	JSON=1 make bench-rotate     one line of JSON for each figure
//	QUICK=1 make bench-rotate    within five minutes
//
// The steps are those of the operator, each begun when the reports show that the one before is done.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/test/bench/figures"
	"github.com/certlink/certlink/test/bench/relays"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-rotate:", err)
		os.Exit(1)
	}
}

// tunnels stay open throughout.
const tunnels = 32

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "certlink-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	n, err := found(ctx, dir)
	if err != nil {
		return err
	}
	defer n.stop()
	load, err := begin(ctx, n)
	if err != nil {
		return err
	}
	roots, leaves := 10, 20
	if figures.Quick() {
		roots, leaves = 2, 4
	}
	durations, err := n.rotations(ctx, roots, leaves)
	if err != nil {
		return errors.Join(err, load.end(ctx))
	}
	if err := load.end(ctx); err != nil {
		return err
	}
	lost, doubled, err := load.lost(ctx)
	if err != nil {
		return err
	}
	return load.figures(durations, lost, doubled).Print(os.Stdout)
}

// nations are the two sides. Alfa exports the echo server, bravo uses it.
type nations struct {
	alfa, bravo *relays.Nation
	service     string
}

func found(ctx context.Context, dir string) (*nations, error) {
	binary, err := relays.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	server, err := echo(ctx)
	if err != nil {
		return nil, err
	}
	n := &nations{}
	if n.alfa, err = relays.New(ctx, dir, "alfa"); err != nil {
		return nil, err
	}
	if n.bravo, err = relays.New(ctx, dir, "bravo"); err != nil {
		return nil, err
	}
	if n.service, err = relays.FreePort(ctx); err != nil {
		return nil, err
	}
	n.alfa.Config.Peers, n.bravo.Config.Peers = []config.Peer{n.bravo.Peer()}, []config.Peer{n.alfa.Peer()}
	n.alfa.Config.Hotlines = []config.Hotline{{Name: "bravo", Peer: "bravo"}}
	n.bravo.Config.Hotlines = []config.Hotline{{Name: "alfa", Peer: "alfa"}}
	n.alfa.Config.ServiceExports = []config.ServiceExport{{Name: "echo", Target: server, Peers: []string{"bravo"}}}
	n.bravo.Config.ServiceImports = []config.ServiceImport{{Name: "echo", Peer: "alfa", Service: "echo", Listen: n.service}}
	for _, side := range []*relays.Nation{n.alfa, n.bravo} {
		if err := side.Start(ctx, binary); err != nil {
			n.stop()
			return nil, err
		}
	}
	if err := errors.Join(n.alfa.Connected(ctx), n.bravo.Connected(ctx)); err != nil {
		n.stop()
		return nil, err
	}
	return n, nil
}

func (n *nations) stop() {
	n.bravo.Stop()
	n.alfa.Stop()
}

// rotations replaces leaves and roots of both sides in turn, and returns how long
// each root took, in seconds.
func (n *nations) rotations(ctx context.Context, roots, leaves int) (seconds []float64, err error) {
	sides := []*relays.Nation{n.alfa, n.bravo}
	for i := range leaves {
		side, other := sides[i%2], sides[(i+1)%2]
		if err := renew(ctx, side, side.CA); err != nil {
			return nil, fmt.Errorf("renewing the leaves of %s: %w", side.Name, err)
		}
		if err := other.Connected(ctx); err != nil {
			return nil, err
		}
	}
	for i := range roots {
		begun := time.Now()
		if err := replaceRoot(ctx, sides[i%2]); err != nil {
			return nil, fmt.Errorf("replacing the root of %s: %w", sides[i%2].Name, err)
		}
		seconds = append(seconds, time.Since(begun).Seconds())
	}
	return seconds, nil
}
