// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// KillAll ends every process whose network namespace this is, also those that they start meanwhile, and returns when
// none is left but those that wait for their parent to look. The calling process is spared.
func KillAll(ctx context.Context, ns *os.File) error {
	var self unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &self); err != nil {
		return fmt.Errorf("looking at the network namespace %q: %w", ns.Name(), err)
	}
	for {
		inside, err := processes(self.Ino)
		if err != nil || len(inside) == 0 {
			return err
		}
		for _, pid := range inside {
			if err := kill(pid, self.Ino); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("killing processes %v: %w", inside, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// processes lists those in the namespace. A process that has ended is in none.
func processes(inode uint64) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && pid != os.Getpid() && within(pid, inode) {
			found = append(found, pid)
		}
	}
	return found, nil
}

func within(pid int, inode uint64) bool {
	var its unix.Stat_t
	err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &its)
	return err == nil && its.Ino == inode
}

// kill kills a process unless its number belongs to another one by now.
func kill(pid int, inode uint64) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if !within(pid, inode) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	return nil
}
