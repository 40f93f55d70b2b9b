// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestDigest(t *testing.T) {
	module := t.TempDir()
	write(t, filepath.Join(module, "go.mod"), "module m")
	write(t, filepath.Join(module, "cmd", "main.go"), "package main")
	sum := func(settings string) string {
		t.Helper()
		got, err := digest(module, settings)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := sum("a")
	if sum("a") != first {
		t.Error("the same module has another digest")
	}
	if sum("b") == first {
		t.Error("other settings have the same digest")
	}
	write(t, filepath.Join(module, "cmd", "main.go"), "package main // changed")
	if sum("a") == first {
		t.Error("a changed file has the same digest")
	}
}

func TestOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "set")
	broken := errors.New("broken")
	if err := once(dir, func(string) error { return broken }); !errors.Is(err, broken) {
		t.Fatalf("got %v, want %v", err, broken)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("a failed build left a complete set")
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	builds := 0
	for range 8 {
		group.Go(func() {
			err := once(dir, func(part string) error {
				mu.Lock()
				defer mu.Unlock()
				builds++
				return os.WriteFile(filepath.Join(part, "program"), nil, 0o600)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if builds != 1 {
		t.Errorf("%d builds, want 1", builds)
	}
	if _, err := os.Stat(filepath.Join(dir, "program")); err != nil {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	p := &progress{started: time.Now()}
	problems := p.follow(strings.NewReader("go: downloading k8s.io/api v0.36.3\nk8s.io/api/core/v1\ninternal/abi\n# k8s.io/api\nx.go:1:2: broken thing\n"))
	if want := "# k8s.io/api\nx.go:1:2: broken thing"; problems != want {
		t.Errorf("problems are %q, want %q", problems, want)
	}
	if got := p.line("building"); !strings.Contains(got, "2 packages compiled, last internal/abi") {
		t.Errorf("progress is %q", got)
	}
}
