// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// programs are what the machine itself must have, with their Debian packages.
var programs = map[string]string{
	"nft": "nftables", "runc": "runc", "ip": "iproute2", "nsenter": "util-linux", "mount": "mount",
}

// ensurePrograms installs what is missing, by apt-get.
func ensurePrograms(ctx context.Context, out io.Writer) error {
	missing := missingPackages(exec.LookPath)
	if len(missing) == 0 {
		return probeNetwork(ctx)
	}
	names := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("raising nations here is not possible: missing %s, and there is no apt-get to install it; install it yourself, %s", names, instead)
	}
	fmt.Fprintf(out, "installing Debian packages: %s\n", names)
	install := append([]string{"install", "-y", "--no-install-recommends"}, missing...)
	if aptGet(ctx, install...) != nil {
		if err := aptGet(ctx, "update"); err != nil {
			return fmt.Errorf("raising nations here is not possible: updating the package lists to install %s: %w; %s", names, err, instead)
		}
		if err := aptGet(ctx, install...); err != nil {
			return fmt.Errorf("raising nations here is not possible: installing %s: %w; %s", names, err, instead)
		}
	}
	return probeNetwork(ctx)
}

func missingPackages(look func(string) (string, error)) []string {
	var missing []string
	for program, pkg := range programs {
		if _, err := look(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	slices.Sort(missing)
	return missing
}

func aptGet(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if text, err := command.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return fmt.Errorf("apt-get %s: %w (%s)", args[0], err, lines[len(lines)-1])
	}
	return nil
}

// probeNetwork tries what the nations' networks are made of, in a network namespace that is gone afterwards.
func probeNetwork(ctx context.Context) error {
	for _, try := range []struct {
		feature string
		args    []string
	}{
		{"bridges", []string{"ip", "link", "add", "certlink0", "type", "bridge"}},
		{"veth pairs", []string{"ip", "link", "add", "certlink0", "type", "veth", "peer", "name", "certlink1"}},
		{"nftables", []string{"nft", "add table inet certlink; add chain inet certlink nat { type nat hook postrouting priority srcnat; }; add rule inet certlink nat masquerade"}},
	} {
		command := exec.CommandContext(ctx, try.args[0], try.args[1:]...)
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if text, err := command.CombinedOutput(); err != nil {
			return errors.New("raising nations here is not possible: the kernel lacks " + try.feature + " (" +
				strings.TrimSpace(string(text)) + "); use a kernel that has it, " + instead)
		}
	}
	return nil
}
