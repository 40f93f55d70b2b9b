// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package testpostgres

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTimeout bounds an orderly end.
const stopTimeout = 10 * time.Second

// account is whom the server runs as; nil means as we do.
type account struct{ uid, gid uint32 }

// unprivileged finds a user for the server, if we are root.
func unprivileged() (*account, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &account{uint32(uid), uint32(gid)}, nil
	}
	return nil, errors.New("there is neither a user postgres nor nobody to run PostgreSQL as")
}

func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

func (a *account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// process is a server in a process group of its own.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended; err is set then
	err   error
	out   *output
}

// spawn starts postgres. Its own thread waits for it: the kernel ends the server
// with the thread that made it, and that is with us.
func (s *Server) spawn() (*process, error) {
	// A lock file of a server that was killed is no obstacle: PostgreSQL sees that its process is gone. What it shares
	// between its processes lies in its data, so that a killed one leaves nothing in /dev/shm.
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir, //nolint:noctx // it outlives any one test
		"-c", "listen_addresses=", "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on",
		"-c", "max_connections=100", "-c", "shared_buffers=128MB", "-c", "max_wal_size=1GB", "-c", "log_min_messages=warning",
		"-c", "dynamic_shared_memory_type=mmap")
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as.attributes()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &process{cmd: cmd, ended: make(chan struct{}), out: &output{}}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	return p, nil
}

// quit asks the server to end at once, without a checkpoint, and kills it if it does not.
func (p *process) quit() error {
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return p.kill()
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timer.C:
		return p.kill()
	}
}

// kill kills every process of the server and waits until none is left: a child
// that still ends would keep the next server from starting.
func (p *process) kill() error {
	family := p.family()
	for _, m := range family {
		// One that has ended meanwhile is as good as killed.
		_ = syscall.Kill(m.pid, syscall.SIGKILL)
	}
	<-p.ended
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); anyLives(family); <-tick.C {
		if time.Now().After(deadline) {
			return errors.New("processes of PostgreSQL are left after it was killed")
		}
	}
	return nil
}

func anyLives(family []member) bool {
	for _, m := range family {
		if now, ok := read(m.pid); ok && now.started == m.started && now.state != "Z" {
			return true
		}
	}
	return false
}

// member is a process of the server.
type member struct {
	pid, parent    int
	state, started string
	// used is its processor time, and that of its ended children, in ticks.
	used, children uint64
}

// read reads /proc/PID/stat.
func read(pid int) (member, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return member{}, false
	}
	// The name may have blanks; behind it stand state, parent and so on.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return member{}, false
	}
	number := func(i int) uint64 {
		n, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return member{
		pid: pid, parent: int(number(1)), state: fields[0], started: fields[19], //nolint:gosec // a process number
		used: number(11) + number(12), children: number(13) + number(14),
	}, true
}

// family are the postmaster and its children.
func (p *process) family() []member {
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	leader := p.cmd.Process.Pid
	var found []member
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if m, ok := read(pid); ok && (m.pid == leader || m.parent == leader) {
			found = append(found, m)
		}
	}
	return found
}

// cpu sums up what lives, and what has ended. The clock of /proc has a hundred
// ticks a second on every Linux.
func (p *process) cpu() time.Duration {
	var ticks uint64
	for _, m := range p.family() {
		ticks += m.used + m.children
	}
	return time.Duration(ticks) * 10 * time.Millisecond //nolint:gosec // no server runs for that long
}

func (p *process) log() string { return p.out.String() }

// output keeps the end of what the server says.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if most := 16 << 10; len(o.text) > most {
		o.text = append([]byte(nil), o.text[len(o.text)-most:]...)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
