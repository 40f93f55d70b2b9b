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
	"path/filepath"

	"github.com/certlink/certlink/test/nations/internal/boot"
	"github.com/certlink/certlink/test/nations/internal/hub"
	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/proc"
)

// Down ends the named nations, or all if none is named, with everything in them. It needs nothing of them to be alive
// and can be called at any time; with the last nation the hub ends too. Their kubeconfigs go too.
func Down(ctx context.Context, names ...string) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if len(names) == 0 {
		names = layout.Names
	}
	for _, name := range names {
		n, err := Get(name)
		if err != nil {
			return err
		}
		if err := takeDown(ctx, n); err != nil {
			return fmt.Errorf("taking %s down: %w", n.Name, err)
		}
		if err := os.Remove(n.kubeconfig); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a kubeconfig: %w", err)
		}
		// Goes only if it is empty.
		_ = os.Remove(filepath.Dir(n.kubeconfig))
	}
	state, err := layout.RunState()
	if err != nil {
		return err
	}
	for _, place := range layout.All() {
		if pid, err := boot.Running(state.Nation(place)); err != nil || pid != 0 {
			return err
		}
	}
	if err := proc.KillMatching(ctx, hub.Command, string(state)); err != nil {
		return err
	}
	if err := os.RemoveAll(string(state)); err != nil {
		return fmt.Errorf("removing the state directory: %w", err)
	}
	return nil
}

// takeDown ends one nation. With its first process the kernel ends everything in it, and its mounts and network.
func takeDown(ctx context.Context, n *Nation) error {
	for _, stage := range []string{boot.LaunchCommand, boot.InitCommand} {
		if err := proc.KillMatching(ctx, stage, string(n.dirs)); err != nil {
			return err
		}
	}
	err := poll(ctx, "removing control groups", func() error { return boot.RemoveCgroups(n.dirs) })
	if err != nil {
		return err
	}
	if err := os.RemoveAll(string(n.dirs)); err != nil {
		return fmt.Errorf("removing the nation's directory: %w", err)
	}
	return nil
}

// Running returns the nations that have a first process.
func Running() ([]*Nation, error) {
	var all []*Nation
	for _, name := range layout.Names {
		n, err := Get(name)
		if err != nil {
			return nil, err
		}
		pid, err := boot.Running(n.dirs)
		if err != nil {
			return nil, err
		}
		if pid != 0 {
			all = append(all, n)
		}
	}
	return all, nil
}
