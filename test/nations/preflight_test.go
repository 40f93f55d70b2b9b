// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJudgeCgroups(t *testing.T) {
	const hybrid = "9:name=systemd:/\n8:pids:/\n7:blkio:/\n6:freezer:/\n5:devices:/\n4:memory:/a\n3:cpuset:/\n2:cpu,cpuacct:/\n0::/\n"
	for _, c := range []struct{ name, text, want string }{
		{"hybrid_is_enough", hybrid, ""},
		{"unified_is_told_how_to_boot", "0::/user.slice\n", "systemd.unified_cgroup_hierarchy=0"},
		{"a_missing_controller_is_named", strings.ReplaceAll(hybrid, "memory", "other"), "memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := judgeCgroups(c.text)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestMissingPackages(t *testing.T) {
	got := missingPackages(func(program string) (string, error) {
		if program == "nft" || program == "runc" {
			return "", errors.New("not found")
		}
		return "/usr/bin/" + program, nil
	})
	if diff := cmp.Diff([]string{"nftables", "runc"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTheWayBackHasTheSameAddressesAtTheSameNations(t *testing.T) {
	ours, theirs := netip.MustParseAddr("198.18.0.101"), netip.MustParseAddr("198.18.0.201")
	for _, c := range []struct{ there, back Direction }{
		{Direction{From: "alfa", To: "bravo"}, Direction{From: "bravo", To: "alfa"}},
		{Direction{From: "alfa", To: "bravo", ToAddress: theirs}, Direction{From: "bravo", To: "alfa", FromAddress: theirs}},
		{Direction{From: "alfa", To: "bravo", FromAddress: ours}, Direction{From: "bravo", To: "alfa", ToAddress: ours}},
	} {
		if got := Around(c.there); !slices.Equal(got, []Direction{c.there, c.back}) {
			t.Errorf("around %s: %v, want %s", c.there, got, c.back)
		}
	}
}
