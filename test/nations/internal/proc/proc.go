// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package proc finds and ends processes that the harness started.
//
// A process is recognised by its whole beginning of a command line, never by its name or by a remembered number, and it
// is ended through a pidfd, so a number that was given to another process in between is never hit.
package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Find returns the numbers of the processes whose arguments after the program's name begin with args.
func Find(args ...string) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && matches(pid, args) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func matches(pid int, args []string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	_, rest, found := strings.Cut(string(line), "\x00")
	return found && strings.HasPrefix(rest, strings.Join(args, "\x00")+"\x00")
}

// KillMatching ends every process that Find finds, at once, and waits until it is gone.
func KillMatching(ctx context.Context, args ...string) error {
	pids, err := Find(args...)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := Kill(ctx, pid, func() bool { return matches(pid, args) }); err != nil {
			return err
		}
	}
	return nil
}

// Kill sends SIGKILL to pid if ours still says that it is the process meant, and waits until it is gone.
func Kill(ctx context.Context, pid int, ours func() bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if !ours() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	return waitGone(ctx, fd, pid)
}

func waitGone(ctx context.Context, fd, pid int) error {
	for ctx.Err() == nil {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, int((100 * time.Millisecond).Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for process %d to end: %w", pid, err)
		}
		if n > 0 {
			return nil
		}
	}
	return fmt.Errorf("waiting for process %d to end: %w", pid, ctx.Err())
}
