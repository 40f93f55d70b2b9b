// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/certlink/certlink/test/nations/internal/hub"
	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/proc"
)

// helper builds the harness's own program, which is started again as hub, launcher, first process and node daemon.
// Go's build cache makes it cheap. Running copies of an older one are not disturbed: the new one gets a new file.
func helper(ctx context.Context) (string, error) {
	root, err := layout.Repository()
	if err != nil {
		return "", err
	}
	cache, err := layout.Cache()
	if err != nil {
		return "", err
	}
	program := filepath.Join(cache, "harness", "nations")
	command := exec.CommandContext(ctx, "go", "build", "-o", program, "./test/nations/cmd/nations")
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the harness's program: %w: %s", err, out)
	}
	return program, nil
}

// ensureHub starts the hub unless one answers.
func ensureHub(ctx context.Context, state layout.State, helper string) error {
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := hub.Ask(asking, state); err == nil {
		return nil
	}
	if err := proc.KillMatching(ctx, hub.Command, string(state)); err != nil {
		return err
	}
	if err := os.Remove(state.HubSocket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the old hub's socket: %w", err)
	}
	log, err := os.OpenFile(state.HubLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the hub's log: %w", err)
	}
	defer log.Close()
	// Not bound to ctx: the hub outlives the command that starts it.
	command := exec.CommandContext(context.WithoutCancel(ctx), helper, hub.Command, string(state))
	command.Dir = "/"
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting the hub: %w", err)
	}
	// Reaps it, should it end while we are here.
	go func() { _ = command.Wait() }()
	return poll(ctx, "waiting for the hub (log: "+state.HubLog()+")", func() error {
		_, err := hub.Ask(ctx, state)
		return err
	})
}
