// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package filewatch_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/filewatch"
	"github.com/certlink/certlink/internal/testca"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start watches a file and returns where changes are told.
func start(t *testing.T, file string, every time.Duration) <-chan struct{} {
	t.Helper()
	changed := make(chan struct{}, 16)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- filewatch.Run(ctx, filewatch.Config{
			Files:   func() []string { return []string{file} },
			Every:   every,
			Changed: func() { changed <- struct{}{} },
			Log:     slog.New(slog.DiscardHandler),
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	expect(t, changed) // the one at the start
	return changed
}

func expect(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatal("no change was told within a minute")
	}
}

func TestRunTellsWhenTheKubeletSwapsAVolume(t *testing.T) {
	dir := t.TempDir()
	write := func(s string) {
		t.Helper()
		if err := testca.WriteVolume(dir, map[string][]byte{"relay.yaml": []byte(s)}); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	changed := start(t, filepath.Join(dir, "relay.yaml"), time.Hour) // by events alone
	write("two")
	expect(t, changed)
	write("three")
	expect(t, changed)
}

func TestRunFindsByIntervalWhatNoEventTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	file := filepath.Join(dir, "relay.yaml")
	changed := start(t, file, 20*time.Millisecond) // the directory is not there: no events
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, changed)
}

func TestRunKeepsQuietWhenAWriteChangesNothing(t *testing.T) {
	dir := t.TempDir()
	write := func(s string) {
		t.Helper()
		if err := testca.WriteVolume(dir, map[string][]byte{"relay.yaml": []byte(s)}); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	changed := start(t, filepath.Join(dir, "relay.yaml"), 10*time.Millisecond)
	for range 20 {
		write("one")
	}
	write("two")
	expect(t, changed)
	if n := len(changed); n != 0 {
		t.Errorf("%d changes too many were told", n)
	}
}
