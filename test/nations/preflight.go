// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// preflightLimit is far more than the checks need.
const preflightLimit = 10 * time.Second

// instead is what to do where nations cannot be raised.
const instead = "or use clusters of your own: make demo KUBECONFIGS=a.kubeconfig,b.kubeconfig"

// Preflight checks at once whether nations can be raised here. Its error is one line: what is missing, and what to do.
func Preflight() error {
	ctx, cancel := context.WithTimeout(context.Background(), preflightLimit)
	defer cancel()
	for _, check := range []func(context.Context) error{checkRoot, checkGo, checkTUN, checkCgroups, checkKernel, checkNamespaces} {
		if err := check(ctx); err != nil {
			return fmt.Errorf("raising nations here is not possible: %w; %s", err, instead)
		}
	}
	return nil
}

func checkRoot(context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("not running as root; run it as root")
	}
	return nil
}

func checkGo(context.Context) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("no go in PATH; install Go 1.26")
	}
	return nil
}

func checkTUN(context.Context) error {
	device, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("no TUN devices (%w); load the kernel module tun, or give this container /dev/net/tun", err)
	}
	return device.Close()
}

// controllers are the cgroup v1 controllers that a node needs.
var controllers = []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"}

func checkCgroups(context.Context) error {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return fmt.Errorf("no control groups (%w); use a kernel with cgroups", err)
	}
	return judgeCgroups(string(text))
}

// judgeCgroups looks at the content of /proc/self/cgroup.
func judgeCgroups(text string) error {
	var have []string
	for line := range strings.Lines(text) {
		if part := strings.SplitN(line, ":", 3); len(part) == 3 {
			have = append(have, strings.Split(part[1], ",")...)
		}
	}
	for _, c := range controllers {
		if !slices.Contains(have, c) {
			return fmt.Errorf("no cgroup v1 controller %q; boot with systemd.unified_cgroup_hierarchy=0", c)
		}
	}
	return nil
}

// features are files that show a feature of the kernel, and the module that brings it.
var features = []struct{ file, word, module string }{
	{"/proc/filesystems", "overlay", "overlay"},
	{"/proc/sys/net/bridge/bridge-nf-call-iptables", "", "br_netfilter"},
}

func checkKernel(ctx context.Context) error {
	for _, f := range features {
		if has(f.file, f.word) {
			continue
		}
		// Where modules cannot be loaded, the second look says so.
		_ = exec.CommandContext(ctx, "modprobe", f.module).Run()
		if !has(f.file, f.word) {
			return fmt.Errorf("the kernel lacks %s; load it (modprobe %s) or use a kernel that has it", f.module, f.module)
		}
	}
	return nil
}

func has(file, word string) bool {
	text, err := os.ReadFile(file)
	return err == nil && strings.Contains(string(text), word)
}

func checkNamespaces(ctx context.Context) error {
	probe := exec.CommandContext(ctx, "true")
	probe.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWCGROUP,
	}
	if err := probe.Run(); err != nil {
		return fmt.Errorf("no new namespaces (%w); run outside a container, or in a privileged one", err)
	}
	return nil
}
