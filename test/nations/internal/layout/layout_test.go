// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestNations(t *testing.T) {
	t.Run("share_no_address", func(t *testing.T) {
		owners := map[netip.Addr]string{}
		for _, n := range All() {
			addresses := []netip.Addr{n.Node()}
			for i := range LoadBalancers {
				addresses = append(addresses, n.LoadBalancer(i))
			}
			for _, a := range addresses {
				if other, taken := owners[a]; taken {
					t.Errorf("%s belongs to %s and %s", a, other, n.Name)
				}
				if !WAN.Contains(a) {
					t.Errorf("%s of %s is not in %s", a, n.Name, WAN)
				}
				owners[a] = n.Name
			}
		}
		for a := WAN.Addr(); WAN.Contains(a); a = a.Next() {
			for _, n := range All() {
				if got, want := n.Owns(a), owners[a] == n.Name; got != want {
					t.Errorf("%s owns %s: got %t, want %t", n.Name, a, got, want)
				}
			}
		}
	})
	t.Run("have_networks_of_their_own", func(t *testing.T) {
		var seen []netip.Prefix
		for _, n := range All() {
			for _, p := range []netip.Prefix{n.Pods(), n.Services()} {
				for _, other := range seen {
					if p.Overlaps(other) {
						t.Errorf("%s of %s overlaps %s", p, n.Name, other)
					}
				}
				seen = append(seen, p)
			}
			if !n.Services().Contains(n.DNS()) || !n.Services().Contains(n.APIService()) || n.DNS() == n.APIService() {
				t.Errorf("%s: DNS %s and API %s are not two addresses of %s", n.Name, n.DNS(), n.APIService(), n.Services())
			}
		}
	})
	t.Run("are_found_by_name_only", func(t *testing.T) {
		if n, err := Find("bravo"); err != nil || n.Index != 2 {
			t.Errorf("bravo: got %+v, %v", n, err)
		}
		if _, err := Find("delta"); err == nil {
			t.Error("delta was found")
		}
	})
}

func TestRepository(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "test", "deep")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	if got, err := Repository(); err == nil {
		t.Errorf("outside of the source tree: got %q", got)
	}
	// The module of a tool further down is passed over.
	for at, module := range map[string]string{deep: Module + "/tool", root: Module} {
		if err := os.WriteFile(filepath.Join(at, "go.mod"), []byte("module "+module+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Repository()
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := filepath.EvalSymlinks(root); got != want && got != root {
		t.Errorf("got %q, want %q", got, root)
	}
}
