// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package wan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/certlink/certlink/test/wan/netns"
)

// ErrClosed is what a host says after Close.
var ErrClosed = errors.New("the network is closed")

// Host is one network namespace. Its methods may be called from several goroutines.
type Host struct {
	// Name is as given to New.
	Name string

	addresses []netip.Addr
	ns        *os.File
	device    *os.File
	// jobs are done by a thread that stays in the namespace until Close, because a process whose parent's thread ends
	// is killed.
	jobs  chan func()
	ended chan struct{}

	mu     sync.Mutex // guards closed
	closed bool
}

// Addresses are all addresses of the host. Its packets carry the first, unless the sender binds another.
func (h *Host) Addresses() []netip.Addr { return slices.Clone(h.addresses) }

// Address is the i-th address, counted from 0.
func (h *Host) Address(i int) netip.Addr { return h.addresses[i] }

// Do runs f inside the host. Sockets and files that f opens stay there for good. f must not start goroutines that
// depend on it: only f's own thread is moved.
func (h *Host) Do(f func() error) error { return netns.In(h.ns, f) }

// Listen listens inside the host, as net.Listen does.
func (h *Host) Listen(ctx context.Context, network, address string) (listener net.Listener, err error) {
	err = h.Do(func() error {
		listener, err = new(net.ListenConfig).Listen(ctx, network, address)
		return err
	})
	return listener, err
}

// ListenPacket is Listen for datagrams.
func (h *Host) ListenPacket(ctx context.Context, network, address string) (conn net.PacketConn, err error) {
	err = h.Do(func() error {
		conn, err = new(net.ListenConfig).ListenPacket(ctx, network, address)
		return err
	})
	return conn, err
}

// DialContext connects from inside the host to an address (no name: there is no resolver). It fits http.Transport.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.DialFrom(ctx, netip.Addr{}, network, address)
}

// DialFrom is DialContext from one of the host's TCP addresses.
func (h *Host) DialFrom(ctx context.Context, from netip.Addr, network, address string) (conn net.Conn, err error) {
	var dialer net.Dialer
	if from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	err = h.Do(func() error {
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Start starts a command inside the host; it is otherwise as cmd.Start, and cmd.Process.Pid is the program's own. The
// kernel kills it when this process ends, and Close does when it still runs then; the caller waits for it.
func (h *Host) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return fmt.Errorf("starting %q in %s: %w", cmd.Path, h.Name, ErrClosed)
	}
	result := make(chan error)
	h.jobs <- func() { result <- cmd.Start() }
	if err := <-result; err != nil {
		return fmt.Errorf("starting %q in %s: %w", cmd.Path, h.Name, err)
	}
	return nil
}

// Run starts a command inside the host, waits for it and returns what it wrote.
func (h *Host) Run(ctx context.Context, argv ...string) ([]byte, error) {
	return h.run(ctx, "", argv...)
}

func (h *Host) run(ctx context.Context, in string, argv ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &out
	if err := h.Start(cmd); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return out.Bytes(), fmt.Errorf("running %q in %s: %w: %s", argv, h.Name, err, out.Bytes())
	}
	return out.Bytes(), nil
}

// work does jobs in the namespace until there are no more. ready gets the error of entering it.
func (h *Host) work(ready chan<- error) {
	defer close(h.ended)
	err := netns.Enter(h.ns)
	ready <- err
	if err != nil {
		return
	}
	for job := range h.jobs {
		job()
	}
}

// close kills what runs inside, and takes the host down.
func (h *Host) close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	err := netns.KillAll(ctx, h.ns)
	close(h.jobs)
	<-h.ended
	if h.device != nil {
		err = errors.Join(err, h.device.Close())
	}
	return errors.Join(err, h.ns.Close())
}
