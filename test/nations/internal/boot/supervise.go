// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package boot

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/certlink/certlink/test/nations/internal/node"
)

const (
	// A component that ends is started again after firstPause, doubling to lastPause while it ends soon again.
	firstPause = 500 * time.Millisecond
	lastPause  = 10 * time.Second
	// settled is how long a component must live to have its pause forgotten.
	settled = 30 * time.Second
)

// ComponentStatus is what the supervisor knows of one component.
type ComponentStatus struct {
	Name string `json:"name"`
	// PID counts in the nation's PID namespace; 0 while the component is not running.
	PID int `json:"pid"`
	// Held components were stopped on purpose and stay so until they are started.
	Held     bool `json:"held"`
	Restarts int  `json:"restarts"`
}

type component struct {
	node.Component
	ComponentStatus
	// wanted is false until the component's turn to start has come.
	wanted  bool
	started time.Time
	pause   time.Duration
	timer   *time.Timer
}

// supervisor is process 1: it starts the components, starts them again when they end, and reaps every orphan.
type supervisor struct {
	log  *slog.Logger
	logs string
	env  []string

	mu         sync.Mutex // guards what is below, and holds the reaper back while a process is being started
	components []*component
	waiting    map[int]chan struct{}
}

func newSupervisor(site node.Site, log *slog.Logger) *supervisor {
	s := &supervisor{
		log:     log,
		logs:    site.Dirs.Path("log"),
		env:     []string{"HOME=/root", "PATH=" + site.Binaries + ":" + os.Getenv("PATH")},
		waiting: map[int]chan struct{}{},
	}
	for _, c := range site.Components() {
		s.components = append(s.components, &component{Component: c, ComponentStatus: ComponentStatus{Name: c.Name}})
	}
	return s
}

// start begins to keep the named component running. It may be called again.
func (s *supervisor) start(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(name)
	if err != nil {
		return err
	}
	c.wanted, c.Held, c.pause = true, false, 0
	return s.run(c)
}

// stop kills the named component and keeps it down. It returns when the process is gone.
func (s *supervisor) stop(name string) error {
	s.mu.Lock()
	c, err := s.find(name)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	c.Held = true
	gone := s.waiting[c.PID]
	if c.PID != 0 {
		err = syscall.Kill(c.PID, syscall.SIGKILL)
	}
	s.mu.Unlock()
	if gone != nil && err == nil {
		<-gone
	}
	return err
}

func (s *supervisor) find(name string) (*component, error) {
	i := slices.IndexFunc(s.components, func(c *component) bool { return c.Component.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("no component %q", name)
	}
	return s.components[i], nil
}

// run starts c unless it runs already or should not. The caller holds the lock.
func (s *supervisor) run(c *component) error {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if c.PID != 0 || c.Held || !c.wanted {
		return nil
	}
	out, err := os.OpenFile(filepath.Join(s.logs, c.Component.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of %q: %w", c.Component.Name, err)
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(c.Args[0], c.Args, &syscall.ProcAttr{
		Dir: "/", Env: s.env, Files: []uintptr{null.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("starting %q: %w", c.Args[0], err)
	}
	c.PID, c.started = pid, time.Now()
	s.waiting[pid] = make(chan struct{})
	return nil
}

// reap waits for children, ours and adopted ones, for ever.
func (s *supervisor) reap(children <-chan os.Signal) {
	for range children {
		for s.reapOne() {
		}
	}
}

func (s *supervisor) reapOne() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err != nil || pid <= 0 {
		return false
	}
	if done, ok := s.waiting[pid]; ok {
		close(done)
		delete(s.waiting, pid)
	}
	for _, c := range s.components {
		if c.PID == pid {
			s.ended(c, status)
		}
	}
	return true
}

// ended notes that c's process is gone and plans the next. The caller holds the lock.
func (s *supervisor) ended(c *component, status syscall.WaitStatus) {
	c.PID = 0
	s.log.Info("component ended", "component", c.Component.Name, "exit_status", status.ExitStatus(), "signal", int(status.Signal()))
	if c.Held {
		return
	}
	c.Restarts++
	c.pause = min(max(2*c.pause, firstPause), lastPause)
	if time.Since(c.started) > settled {
		c.pause = firstPause
	}
	c.timer = time.AfterFunc(c.pause, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.run(c); err != nil {
			s.log.Error("starting a component again", "error", err)
		}
	})
}

func (s *supervisor) status() []ComponentStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ComponentStatus, 0, len(s.components))
	for _, c := range s.components {
		all = append(all, c.ComponentStatus)
	}
	return all
}
