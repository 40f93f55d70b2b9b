// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// sleeper starts a process that sleeps for that time, and ends it with the test.
func sleeper(t *testing.T, seconds string) (pid int, ended <-chan error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sleep", seconds)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		done <- command.Wait()
	}()
	t.Cleanup(func() { <-reaped })
	return command.Process.Pid, done
}

func TestKill(t *testing.T) {
	ctx := t.Context()
	// Fractions of a second that no other run of this test has.
	mine, others := fmt.Sprintf("86400.1%d", os.Getpid()), fmt.Sprintf("86400.2%d", os.Getpid())
	pid, ended := sleeper(t, mine)
	other, _ := sleeper(t, others)

	// The number is there before the program is.
	for deadline := time.Now().Add(10 * time.Second); ; {
		pids, err := Find(mine)
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
	if err := KillMatching(ctx, mine); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.String() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
	if err := Kill(ctx, pid, func() bool { return true }); err != nil {
		t.Errorf("killing what is gone: %v", err)
	}
	if pids, err := Find(others); err != nil || !slices.Equal(pids, []int{other}) {
		t.Errorf("the other process: found %v, want %d: %v", pids, other, err)
	}
}
