// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package boot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchy is one cgroup v1 hierarchy and our place in it.
type hierarchy struct {
	// folder is its name below /sys/fs/cgroup, options what it is mounted with.
	folder, options string
	own             string
}

// hierarchies reads which cgroup v1 hierarchies this process is in.
func hierarchies() ([]hierarchy, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("reading this process's cgroups: %w", err)
	}
	return parseHierarchies(string(text)), nil
}

func parseHierarchies(text string) []hierarchy {
	var all []hierarchy
	for line := range strings.Lines(text) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 || part[1] == "" {
			continue
		}
		h := hierarchy{folder: strings.TrimPrefix(part[1], "name="), options: part[1], own: part[2]}
		if h.folder != part[1] {
			h.options = "none," + part[1]
		}
		all = append(all, h)
	}
	return all
}

// CgroupName is the name of the nation's cgroup in each hierarchy. It differs between two users' state directories.
func CgroupName(dirs layout.Dirs) string {
	sum := sha256.Sum256([]byte(dirs))
	return fmt.Sprintf("certlink-%x-%s", sum[:4], filepath.Base(string(dirs)))
}

// enterCgroups makes the nation's cgroup beneath our own in each hierarchy, so that whatever limits us limits the
// nation too, and moves this process there.
func enterCgroups(dirs layout.Dirs) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		parent := filepath.Join(cgroupRoot, h.folder, h.own)
		group := filepath.Join(parent, CgroupName(dirs))
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("making cgroup %q: %w", group, err)
		}
		// An empty cpuset accepts no process.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(parent, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(group, file), value, 0o644)
			}
			if err != nil {
				return fmt.Errorf("copying %s to cgroup %q: %w", file, group, err)
			}
		}
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("entering cgroup %q: %w", group, err)
		}
	}
	return nil
}

// RemoveCgroups removes the nation's cgroups wherever they are. They must be empty of processes.
func RemoveCgroups(dirs layout.Dirs) error {
	groups, err := Cgroups(dirs)
	if err != nil {
		return err
	}
	// Children come after their parents in the list.
	for _, group := range slices.Backward(groups) {
		if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing cgroup %q: %w", group, err)
		}
	}
	return nil
}

// Cgroups lists the nation's cgroups in all hierarchies with all their children.
func Cgroups(dirs layout.Dirs) ([]string, error) {
	name := CgroupName(dirs)
	var groups []string
	err := filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == name || strings.Contains(path, "/"+name+"/")) {
			groups = append(groups, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for cgroups of %q: %w", dirs, err)
	}
	return groups, nil
}
