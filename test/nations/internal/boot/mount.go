// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

// kernelWide are settings that kubelet insists on writing and that no namespace separates. It is given copies, so the
// machine's own stay as they were.
var kernelWide = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// private are the directories that the components know by fixed names, and where they really are.
var private = map[string]string{
	"/var/lib/kubelet": "kubelet", "/var/lib/containerd": "containerd", "/var/lib/cni": "cni-state",
	"/var/log/pods": "podlogs", "/var/log/containers": "containerlogs",
}

// mounts gives the nation its own view of the file system. All of it is gone with the nation's last process.
func mounts(dirs layout.Dirs) error {
	steps := []func() error{
		// Nothing mounted here may reach the machine; but pods must see what the node mounts later.
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") },
		func() error { return unix.Mount("proc", "/proc", "proc", 0, "") },
		func() error { return unix.Mount("sysfs", "/sys", "sysfs", 0, "") },
		mountCgroups,
		func() error { return unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755") },
		func() error { return mountPrivate(dirs) },
		shadowKernelSettings,
	}
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("mounting the nation's file systems (step %d): %w", i+1, err)
		}
	}
	return nil
}

// mountCgroups mounts each hierarchy again: inside the cgroup namespace its root is the nation's own.
func mountCgroups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", cgroupRoot, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, h := range all {
		at := filepath.Join(cgroupRoot, h.folder)
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", at, "cgroup", 0, h.options); err != nil {
			return fmt.Errorf("cgroup hierarchy %q: %w", h.folder, err)
		}
		// Controllers that are mounted together are also known by their single names.
		if names := strings.Split(h.folder, ","); len(names) > 1 {
			for _, name := range names {
				if err := os.Symlink(h.folder, filepath.Join(cgroupRoot, name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// mountPrivate puts the nation's directories in the places that the components expect. /var is covered by an overlay
// first, so that not even an empty directory is left on the machine.
func mountPrivate(dirs layout.Dirs) error {
	state, err := unix.Open(filepath.Dir(string(dirs)), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(state)
	for _, dir := range []string{"/run/var/upper", "/run/var/work", "/run/lock", "/run/netns"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", "/var", "overlay", 0, "lowerdir=/var,upperdir=/run/var/upper,workdir=/run/var/work"); err != nil {
		return fmt.Errorf("overlay on /var: %w", err)
	}
	if strings.HasPrefix(string(dirs), "/var/") {
		// The nation's own directory must not be hidden by the overlay.
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", state), filepath.Dir(string(dirs)), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for at, name := range private {
		for _, dir := range []string{at, dirs.Path(name)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		if err := unix.Mount(dirs.Path(name), at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%q: %w", at, err)
		}
	}
	return nil
}

func shadowKernelSettings() error {
	for _, name := range kernelWide {
		original := filepath.Join("/proc/sys", name)
		value, err := os.ReadFile(original)
		if err != nil {
			return err
		}
		copied := filepath.Join("/run/sysctl", strings.ReplaceAll(name, "/", "."))
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(copied, value, 0o644); err != nil {
			return err
		}
		if err := unix.Mount(copied, original, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}
