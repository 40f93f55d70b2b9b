// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package boot

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations/internal/node"
)

// WANDevice is the nation's device towards the others. It is a TUN device, so packets have no Ethernet header and no
// address resolution is needed; the hub reads and writes them.
const WANDevice = "wan"

// networkSettings are all settings of the nation's own network namespace.
var networkSettings = map[string]string{
	"net/ipv4/ip_forward": "1",
	// Needed for Services between pods of one bridge, and for policies between them.
	"net/bridge/bridge-nf-call-iptables": "1",
	"net/ipv4/conf/all/rp_filter":        "0",
	"net/ipv6/conf/all/disable_ipv6":     "1",
}

func network(ctx context.Context, site node.Site) error {
	for name, value := range networkSettings {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			return fmt.Errorf("setting %s (kernel module br_netfilter missing?): %w", name, err)
		}
	}
	if err := makeTUN(); err != nil {
		return err
	}
	commands := [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", fmt.Sprintf("%s/%d", site.Nation.Node(), 24), "dev", WANDevice},
		{"ip", "link", "set", WANDevice, "txqueuelen", "2000", "up"},
		// Without a default route a connection to a cluster address fails before it is translated.
		{"ip", "route", "add", "default", "dev", WANDevice},
		{"nft", "-f", site.Dirs.Path(node.FirewallFile)},
	}
	for _, c := range commands {
		if out, err := exec.CommandContext(ctx, c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("running %q: %w: %s", strings.Join(c, " "), err, out)
		}
	}
	return nil
}

// makeTUN makes the device persistent: it outlives the hub, with its addresses and routes.
func makeTUN() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(WANDevice)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("making device %q: %w", WANDevice, err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		return fmt.Errorf("keeping device %q: %w", WANDevice, err)
	}
	return nil
}
