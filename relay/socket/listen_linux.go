// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !386

package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// listener accepts connections.
type listener struct {
	file *os.File
	raw  syscall.RawConn
	addr net.Addr
}

// Listen listens on HOST:PORT. Its connections are *Conn.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = setOptions(int(fd)) }) //nolint:gosec // a file descriptor
		return errors.Join(err, failed)
	}}
	lc.SetMultipathTCP(false)
	opened, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer opened.Close() // file goes on listening
	tcp, ok := opened.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("listening on %s: a %T is no TCP listener", address, opened)
	}
	l := &listener{addr: opened.Addr()}
	if l.file, err = tcp.File(); err != nil {
		return nil, fmt.Errorf("taking over the socket of %s: %w", address, err)
	}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		l.file.Close()
		return nil, fmt.Errorf("reaching the socket of %s: %w", address, err)
	}
	return l, nil
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	var fd uintptr
	var errno syscall.Errno
	err := l.raw.Read(func(on uintptr) bool {
		for {
			fd, _, errno = syscall.RawSyscall6(syscall.SYS_ACCEPT4, on, 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
			switch errno {
			case syscall.EINTR, syscall.ECONNABORTED: // it was gone before we came
			case syscall.EAGAIN:
				return false
			default:
				return true
			}
		}
	})
	if err != nil {
		return nil, net.ErrClosed
	}
	if errno != 0 {
		return nil, os.NewSyscallError("accept4", errno)
	}
	return newConn(fd)
}

// Close ends Accept.
func (l *listener) Close() error { return closed(l.file.Close()) }

// Addr is where it listens.
func (l *listener) Addr() net.Addr { return l.addr }

func setOptions(fd int) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}
