// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !386

package socket

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Dial connects to HOST:PORT within a time. The error is that of the context, of the
// network or os.ErrDeadlineExceeded.
func Dial(ctx context.Context, address string, within time.Duration) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Addr().Zone() != "" {
		d := dialer()
		d.Timeout = within
		return d.DialContext(ctx, "tcp", address)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var name sockaddr
	fd, err := open(name.set(to))
	if err != nil {
		return nil, err
	}
	errno := connect(fd, &name)
	if errno == syscall.EINPROGRESS {
		errno = connect(fd, &name) // on the same machine it is there by now
	}
	if errno != 0 && errno != syscall.EALREADY {
		_ = syscall.Close(int(fd)) //nolint:gosec // a file descriptor
		return nil, os.NewSyscallError("connect", errno)
	}
	c, err := newConn(fd)
	if err != nil {
		return nil, err
	}
	if errno != 0 {
		err = c.await(ctx, &name, within)
	}
	if err == nil && c.isItself(to.Port()) {
		err = os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// isItself tells whether both ends are this socket: the kernel has picked the port that is
// dialled, on the same machine, for us (RFC 9293 section 3.5). It does so only where nobody listens.
func (c *Conn) isItself(port uint16) bool {
	if c.localPort() != port {
		return false
	}
	local, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && local.Port == remote.Port && local.IP.Equal(remote.IP)
}

// localPort is the port at our end, zero if there is none. LocalAddr says it too, but through package syscall, which
// would wake a thread of the runtime for each connection.
func (c *Conn) localPort() uint16 {
	var name sockaddr
	size := uint32(len(name.b))
	_ = c.raw.Control(func(fd uintptr) { // one that is closed has no port
		_, _, errno := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, fd, uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&size))) //nolint:gosec // as package unsafe allows it for system calls
		if errno != 0 {
			name = sockaddr{}
		}
	})
	return binary.BigEndian.Uint16(name.b[2:])
}

// sockaddr is a sockaddr_in or sockaddr_in6 (ip(7), ipv6(7)).
type sockaddr struct {
	b    [unix.SizeofSockaddrInet6]byte
	size uintptr
}

// set fills it in and returns the address family.
func (s *sockaddr) set(to netip.AddrPort) (family uintptr) {
	addr := to.Addr().Unmap()
	family, s.size = unix.AF_INET6, unix.SizeofSockaddrInet6
	ip := s.b[8:24]
	if addr.Is4() {
		family, s.size = unix.AF_INET, unix.SizeofSockaddrInet4
		ip = s.b[4:8]
	}
	binary.NativeEndian.PutUint16(s.b[:], uint16(family))
	binary.BigEndian.PutUint16(s.b[2:], to.Port())
	copy(ip, addr.AsSlice())
	return family
}

// open makes a socket.
func open(family uintptr) (fd uintptr, err error) {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if errno != 0 {
		return 0, os.NewSyscallError("socket", errno)
	}
	for _, o := range options {
		value := int32(o.value)                                                                                                                                    //nolint:gosec // small
		_, _, errno = syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, uintptr(o.level), uintptr(o.name), uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0) //nolint:gosec // as package unsafe allows it for system calls
		if errno != 0 {
			_ = syscall.Close(int(fd)) //nolint:gosec // a file descriptor
			return 0, os.NewSyscallError("setsockopt", errno)
		}
	}
	return fd, nil
}

// connect begins a connection, and after that says how it goes: EALREADY while it is
// not there, then once 0 or what is wrong (connect(2)).
func connect(fd uintptr, to *sockaddr) syscall.Errno {
	for {
		_, _, errno := syscall.RawSyscall(syscall.SYS_CONNECT, fd, uintptr(unsafe.Pointer(to)), to.size) //nolint:gosec // as package unsafe allows it for system calls
		if errno != syscall.EINTR {
			return errno
		}
	}
}

// await returns when the connection is there, has failed, or time is up.
func (c *Conn) await(ctx context.Context, to *sockaddr, within time.Duration) error {
	_ = c.SetWriteDeadline(time.Now().Add(within)) // nobody has closed it
	stop := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(time.Unix(1, 0)) })
	var errno syscall.Errno
	err := c.raw.Write(func(fd uintptr) bool {
		errno = connect(fd, to)
		return errno != syscall.EALREADY && errno != syscall.EINPROGRESS
	})
	switch {
	case !stop():
		return ctx.Err()
	case err != nil:
		return err
	case errno != 0 && errno != syscall.EISCONN:
		return os.NewSyscallError("connect", errno)
	}
	return c.SetWriteDeadline(time.Time{})
}
