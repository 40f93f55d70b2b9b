// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package boot raises the node of one nation: a process tree in network, mount, PID, UTS, IPC and cgroup namespaces of
// its own, which is what a container is, without a container engine.
//
//	Launch (on the machine)  enters the nation's cgroups, starts Init in new namespaces, leaves
//	Init   (process 1)       mounts, network, configuration; then starts and watches the components
//
// Everything in a nation ends with Init, its mounts and its network too, however Init ends. Only empty cgroups stay;
// RemoveCgroups takes them. Init is found by its command line, so nothing has to be remembered.
package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/node"
	"github.com/certlink/certlink/test/nations/internal/proc"
)

// The harness's program is started again under these names.
const (
	LaunchCommand = "nation-launch"
	InitCommand   = "nation-init"
)

const siteFile = "site.json"

// WriteSite stores what Launch and Init need to know in the nation's directory.
func WriteSite(site node.Site) error {
	text, err := json.Marshal(site)
	if err != nil {
		return fmt.Errorf("encoding the site of %q: %w", site.Nation.Name, err)
	}
	if err := os.WriteFile(site.Dirs.Path(siteFile), text, 0o600); err != nil {
		return fmt.Errorf("writing the site of %q: %w", site.Nation.Name, err)
	}
	return nil
}

// ReadSite reads what WriteSite stored.
func ReadSite(dirs layout.Dirs) (node.Site, error) {
	var site node.Site
	text, err := os.ReadFile(dirs.Path(siteFile))
	if err != nil {
		return site, fmt.Errorf("reading a nation's site: %w", err)
	}
	if err := json.Unmarshal(text, &site); err != nil {
		return site, fmt.Errorf("decoding a nation's site: %w", err)
	}
	return site, nil
}

// Running returns the number of the nation's Init, 0 if there is none.
func Running(dirs layout.Dirs) (int, error) {
	pids, err := proc.Find(InitCommand, string(dirs))
	if err != nil || len(pids) == 0 {
		return 0, err
	}
	return pids[0], nil
}

// Launch starts Init. It must be called in a process of its own: it moves that process to other cgroups.
func Launch(ctx context.Context, dirs layout.Dirs) error {
	if err := enterCgroups(dirs); err != nil {
		return err
	}
	log, err := os.OpenFile(dirs.Log("init"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of Init: %w", err)
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	init := exec.CommandContext(context.WithoutCancel(ctx), self, InitCommand, string(dirs))
	init.Dir = "/"
	init.Env = []string{"HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	init.Stdout, init.Stderr = log, log
	init.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true,
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWCGROUP,
	}
	err = init.Start()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("making the nation's namespaces (does this kernel, or the container around us, allow them?): %w", err)
	}
	if err != nil {
		return fmt.Errorf("starting Init: %w", err)
	}
	return init.Process.Release()
}
