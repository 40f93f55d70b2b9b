// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package boot

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/test/nations/internal/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseHierarchies(t *testing.T) {
	got := parseHierarchies("9:name=systemd:/\n4:memory:/job/1\n2:cpu,cpuacct:/\n0::/\ngarbage\n")
	want := []hierarchy{
		{folder: "systemd", options: "none,name=systemd", own: "/"},
		{folder: "memory", options: "memory", own: "/job/1"},
		{folder: "cpu,cpuacct", options: "cpu,cpuacct", own: "/"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(hierarchy{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSupervisor(t *testing.T) {
	s := &supervisor{log: slog.New(slog.DiscardHandler), logs: t.TempDir(), waiting: map[int]chan struct{}{}}
	s.components = []*component{{
		Component:       node.Component{Name: "sleeper", Args: []string{"/bin/sleep", "600"}},
		ComponentStatus: ComponentStatus{Name: "sleeper"},
	}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		s.reap(children)
	}()
	t.Cleanup(func() {
		if err := s.stop("sleeper"); err != nil {
			t.Error(err)
		}
		signal.Stop(children)
		close(children)
		<-reaped
	})
	if err := s.start("nobody"); err == nil {
		t.Error("a component that is not there was started")
	}
	if err := errors.Join(s.start("sleeper"), s.start("sleeper")); err != nil {
		t.Fatal(err)
	}
	first := s.status()[0].PID

	t.Run("a_killed_component_is_started_again", func(t *testing.T) {
		if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until(t, func() error {
			if now := s.status()[0]; now.PID == 0 || now.PID == first || now.Restarts != 1 {
				return fmt.Errorf("%+v", now)
			}
			return nil
		})
	})
	t.Run("a_stopped_one_stays_down_until_it_is_started", func(t *testing.T) {
		if err := s.stop("sleeper"); err != nil {
			t.Fatal(err)
		}
		until(t, func() error {
			if now := s.status()[0]; now.PID != 0 || !now.Held {
				return fmt.Errorf("%+v", now)
			}
			return nil
		})
		if err := s.start("sleeper"); err != nil {
			t.Fatal(err)
		}
		if now := s.status()[0]; now.PID == 0 || now.Held {
			t.Errorf("after the start: %+v", now)
		}
	})
}

// until polls for ten seconds.
func until(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond)
	}
}
