// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Command loopback shows two relays that join two nations, alfa and bravo, on
// this machine and without Kubernetes: a link that proves itself, an object that
// a rule lets through and one that it holds back, and a hotline message with its
// signed receipt and the duty officer's acknowledgement.
//
//	go run ./examples/loopback          runs through and cleans up
//	go run ./examples/loopback --keep   leaves both running until Ctrl-C
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	keep := flag.Bool("keep", false, "leave both relays running until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *keep, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "loopback:", err)
		os.Exit(1)
	}
}

// run tells the story.
func run(ctx context.Context, keep bool, out io.Writer) (err error) {
	begun := time.Now()
	dir, err := os.MkdirTemp("", "certlink-loopback-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(out, "building the relay")
	binary := filepath.Join(dir, "certlink-relay")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/certlink/certlink/cmd/relay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the relay: %w\n%s", err, text)
	}
	alfa, bravo, err := found(ctx, dir)
	if err != nil {
		return err
	}
	for _, n := range []*nation{alfa, bravo} {
		if err := n.start(ctx, binary); err != nil {
			return err
		}
		defer n.stop()
		fmt.Fprintf(out, "%-5s runs: link %s, local %s, configuration %s\n", n.name, n.cfg.Listen.Link, n.cfg.Listen.Local, n.file())
	}
	for _, step := range []func(context.Context, io.Writer, *nation, *nation) error{link, feed, hotline} {
		if err := step(ctx, out, alfa, bravo); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "all done after %s\n", time.Since(begun).Round(time.Millisecond))
	if keep {
		fmt.Fprintf(out, "both relays go on until Ctrl-C; look at one with\n  curl --cacert %[1]s/ca.crt --cert %[1]s/tls.crt --key %[1]s/tls.key https://%[2]s/report\n",
			filepath.Join(alfa.dir, "tls", "desk"), alfa.cfg.Listen.Local)
		<-ctx.Done()
	}
	return nil
}
