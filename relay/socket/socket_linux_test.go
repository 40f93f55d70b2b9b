// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !386

package socket_test

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/relay/socket"
)

func TestBothEndsArePlainTCPWithKeepAliveAndWithoutDelay(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	dialled, accepted := pair(t, l, l.Addr().String())
	for name, conn := range map[string]net.Conn{"dialled": dialled, "accepted": accepted} {
		for option, want := range map[[2]int]int{
			{unix.SOL_SOCKET, unix.SO_PROTOCOL}:    unix.IPPROTO_TCP,
			{unix.IPPROTO_TCP, unix.TCP_NODELAY}:   1,
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE}:   1,
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}:  15,
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}: 15,
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}:   9,
		} {
			raw, err := conn.(syscall.Conn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if err := raw.Control(func(fd uintptr) {
				if got, err := unix.GetsockoptInt(int(fd), option[0], option[1]); err != nil || got != want {
					t.Errorf("%s: option %v is %d, %v; want %d", name, option, got, err, want)
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// full returns an address at which nobody answers: the kernel of a socket whose queue
// is full drops what arrives.
func full(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*unix.SockaddrInet4).Port}).String()
	conn, err := socket.Dial(t.Context(), address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return address
}

func TestADialThatTakesTooLongEnds(t *testing.T) {
	address := full(t)
	if _, err := socket.Dial(t.Context(), address, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("time is up: %v", err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := socket.Dial(ctx, address, patience)
		ended <- err
	}()
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the context has ended: %v", err)
	}
}

// A kernel that picks the port of who dials may pick the one that is dialled, and then
// connects the socket with itself (RFC 9293 section 3.5).
func TestADialNeverReachesItself(t *testing.T) {
	gone := listen(t, "127.0.0.1:0")
	port := gone.Addr().(*net.TCPAddr).Port &^ 1 // those who dial get even ones first
	gone.Close()
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String()
	for range 30_000 { // of some 28,000 ports
		conn, err := socket.Dial(t.Context(), address, patience)
		if err != nil {
			continue
		}
		local := conn.LocalAddr().String()
		conn.Close()
		if local == address { // others of this machine may listen there by now
			t.Fatalf("%s has reached itself", address)
		}
	}
}
