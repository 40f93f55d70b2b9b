// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !386

package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection. All methods may be called concurrently.
type Conn struct {
	file *os.File // has the socket; the runtime's poller knows it
	raw  syscall.RawConn
}

// newConn takes a socket that does not block.
func newConn(fd uintptr) (*Conn, error) {
	c := &Conn{file: os.NewFile(fd, "socket")}
	raw, err := c.file.SyscallConn()
	if err != nil {
		c.file.Close()
		return nil, err
	}
	c.raw = raw
	return c, nil
}

// Read is net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	return n, closed(err)
}

// Write is net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	return n, closed(err)
}

// Close is net.Conn.
func (c *Conn) Close() error { return closed(c.file.Close()) }

// closed says what package net says of a connection that we have closed.
func closed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return net.ErrClosed
	}
	return err
}

// SyscallConn gives access to the socket.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// CloseWrite ends our direction. An error names a connection that has ended.
func (c *Conn) CloseWrite() error {
	var errno syscall.Errno
	if err := c.raw.Control(func(fd uintptr) {
		_, _, errno = syscall.RawSyscall(syscall.SYS_SHUTDOWN, fd, syscall.SHUT_WR, 0)
	}); err != nil {
		return net.ErrClosed
	}
	if errno != 0 {
		return os.NewSyscallError("shutdown", errno)
	}
	return nil
}

// SetLinger is that of net.TCPConn.
func (c *Conn) SetLinger(sec int) error {
	linger := unix.Linger{Linger: int32(max(sec, 0))} //nolint:gosec // seconds
	if sec >= 0 {
		linger.Onoff = 1
	}
	var failed error
	if err := c.raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &linger) //nolint:gosec // a file descriptor
	}); err != nil {
		return net.ErrClosed
	}
	return os.NewSyscallError("setsockopt", failed)
}

// LocalAddr is net.Conn; nil of a connection that has ended.
func (c *Conn) LocalAddr() net.Addr { return c.addr(unix.Getsockname) }

// RemoteAddr is net.Conn; nil of a connection that has ended.
func (c *Conn) RemoteAddr() net.Addr { return c.addr(unix.Getpeername) }

func (c *Conn) addr(ask func(int) (unix.Sockaddr, error)) net.Addr {
	var found net.Addr
	_ = c.raw.Control(func(fd uintptr) { // one that is closed has no address
		switch sa, _ := ask(int(fd)); sa := sa.(type) { //nolint:gosec // a file descriptor
		case *unix.SockaddrInet4:
			found = &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
		case *unix.SockaddrInet6:
			found = &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
		}
	})
	return found
}

// SetDeadline is net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return closed(c.file.SetDeadline(t)) }

// SetReadDeadline is net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return closed(c.file.SetReadDeadline(t)) }

// SetWriteDeadline is net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return closed(c.file.SetWriteDeadline(t)) }

// options are what every socket of ours has. A listening socket hands them on to
// those that it accepts.
var options = [...]struct{ level, name, value int }{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAlive.Idle / time.Second)},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAlive.Interval / time.Second)},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAlive.Count},
}
