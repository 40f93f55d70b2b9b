// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package netns does things inside another network namespace. It needs root.
package netns

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// New makes an empty network namespace. It lives as long as the file is open, or a process or device is in it.
func New() (*os.File, error) {
	var ns *os.File
	err := moved(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace (root is needed): %w", err)
		}
		var err error
		ns, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return ns, err
}

// Do runs f inside the network namespace of process pid. What f opens stays in that namespace for good. f must not
// start goroutines that depend on it: only f's own thread is moved, and it ends with f.
func Do(pid int, f func() error) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return fmt.Errorf("opening the network of process %d: %w", pid, err)
	}
	defer ns.Close()
	return In(ns, f)
}

// In is Do for a namespace that is open as a file.
func In(ns *os.File, f func() error) error {
	return moved(func() error {
		if err := Enter(ns); err != nil {
			return err
		}
		return f()
	})
}

// Enter moves the calling thread, which must be locked to its goroutine and not be used by another one later.
func Enter(ns *os.File) error {
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the network namespace %q: %w", ns.Name(), err)
	}
	return nil
}

// moved runs f on a thread of its own.
func moved(f func() error) error {
	done := make(chan error, 1)
	go Thread(func() { done <- f() })
	return <-done
}

// Thread runs f on a thread that nothing else uses, before or after, so that f may Enter a namespace. The runtime throws
// the thread away with the calling goroutine, which therefore should end when Thread returns.
func Thread(f func()) {
	runtime.LockOSThread() // never unlocked
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	// The program's first thread would not be thrown away but stay in the namespace: it is held here until f is done.
	done := make(chan struct{})
	go func() {
		defer close(done)
		Thread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

// Dial connects to a TCP address (no name: there is no resolver) as a process in pid's network would.
func Dial(ctx context.Context, pid int, address string) (net.Conn, error) {
	var conn net.Conn
	err := Do(pid, func() error {
		var dialer net.Dialer
		var err error
		conn, err = dialer.DialContext(ctx, "tcp4", address)
		return err
	})
	return conn, err
}

// OpenTUN opens the TUN device of that name in the calling thread's namespace, and makes it if it is not there. A new
// one goes when the file is closed. Each read gives, and each write takes, one IP packet without any header before it.
func OpenTUN(name string) (*os.File, error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("opening device %q: %w", name, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}
