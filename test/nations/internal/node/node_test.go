// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

var update = flag.Bool("update", false, "write the golden files anew")

func site(t *testing.T) Site {
	t.Helper()
	bravo, err := layout.Find("bravo")
	if err != nil {
		t.Fatal(err)
	}
	return Site{
		Nation: bravo, Dirs: "/state/bravo", Binaries: "/bin/v1", Runc: "/usr/sbin/runc",
		Helper: "/harness/nations", PauseImage: "nations.test/pause:v1",
	}
}

func TestFiles(t *testing.T) {
	files, err := site(t).Files()
	if err != nil {
		t.Fatal(err)
	}
	for path, got := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			golden := filepath.Join("testdata", filepath.Base(path))
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestComponents(t *testing.T) {
	var early, late []string
	for _, c := range site(t).Components() {
		if !filepath.IsAbs(c.Args[0]) {
			t.Errorf("%s starts %q, which depends on PATH", c.Name, c.Args[0])
		}
		if i := slices.IndexFunc(c.Args, func(a string) bool { return strings.Contains(a, "alfa") }); i >= 0 {
			t.Errorf("%s of bravo has %q", c.Name, c.Args[i])
		}
		if c.NeedsAPI {
			late = append(late, c.Name)
		} else {
			early = append(early, c.Name)
		}
	}
	if diff := cmp.Diff([]string{Etcd, Containerd, APIServer}, early); diff != "" {
		t.Errorf("before the API server is ready (-want +got)\n%s", diff)
	}
	want := []string{"kube-controller-manager", "kube-scheduler", Kubelet, "kube-proxy", Daemon}
	if diff := cmp.Diff(want, late); diff != "" {
		t.Errorf("after (-want +got)\n%s", diff)
	}
}
