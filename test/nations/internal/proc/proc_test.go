// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package proc

import (
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"
)

// sleeper starts a process that sleeps for an unusual time, which tells it from others.
func sleeper(t *testing.T, seconds int) (pid int, ended <-chan error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sleep", strconv.Itoa(seconds))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	return command.Process.Pid, done
}

func TestKill(t *testing.T) {
	ctx := t.Context()
	pid, ended := sleeper(t, 86399)
	other, _ := sleeper(t, 86398)

	// The number is there before the program is.
	for deadline := time.Now().Add(10 * time.Second); ; {
		pids, err := Find("86399")
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("found %v, want %d: %v", pids, pid, err)
		}
		if slices.Equal(pids, []int{pid}) {
			break
		}
	}
	if err := Kill(ctx, pid, func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("a process that is not ours was killed: %v", err)
	default:
	}
	if err := KillMatching(ctx, "86399"); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.String() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
	if err := Kill(ctx, pid, func() bool { return true }); err != nil {
		t.Errorf("killing what is gone: %v", err)
	}
	if pids, err := Find("86398"); err != nil || !slices.Equal(pids, []int{other}) {
		t.Errorf("the other process: found %v, want %d: %v", pids, other, err)
	}
}
