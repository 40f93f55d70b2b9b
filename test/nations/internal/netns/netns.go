// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package netns does things inside another process's network namespace.
package netns

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f inside the network namespace of process pid. What f opens stays in that namespace for good. f must not
// start goroutines that depend on it: only f's own thread is moved, and it ends with f.
func Do(pid int, f func() error) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return fmt.Errorf("opening the network of process %d: %w", pid, err)
	}
	defer ns.Close()
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime throws the moved thread away with the goroutine.
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering the network of process %d: %w", pid, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Dial connects to a TCP address (no name: there is no resolver) as a process in pid's network would.
func Dial(ctx context.Context, pid int, address string) (net.Conn, error) {
	var conn net.Conn
	err := Do(pid, func() error {
		var dialer net.Dialer
		var err error
		conn, err = dialer.DialContext(ctx, "tcp4", address)
		return err
	})
	return conn, err
}
