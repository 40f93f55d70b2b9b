// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Command relay is certlink's data plane: the process of one CERT that keeps the
// links to its peers. It runs from one configuration file, with or without
// Kubernetes. docs/relay-config.md is the reference of that file.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// profileEvery is how many bytes are allocated between two that the profile of the heap notes. The
// notes themselves take a page of memory or more for each place that they name; with the usual
// 512 KiB that was a tenth of what 1,000 tunnels at rest take.
const profileEvery = 4 << 20

func main() {
	if runtime.MemProfileRate == 512<<10 { // unless GODEBUG=memprofilerate says otherwise
		runtime.MemProfileRate = profileEvery
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "certlink-relay:", err)
		os.Exit(1)
	}
}
