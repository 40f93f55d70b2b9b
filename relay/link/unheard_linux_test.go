// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/relay/gate"
)

// userTimeout asks the kernel for that of the socket below a connection, in
// milliseconds.
func userTimeout(t *testing.T, conn net.Conn) int {
	t.Helper()
	for range 8 {
		if under, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = under.NetConn()
		}
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	ms := -1
	if err := raw.Control(func(fd uintptr) { ms, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) }); err != nil {
		t.Fatal(err)
	}
	return ms
}

// The kernel's limit also ends a connection whose reader takes no bytes for so long.
func TestTheKernelDoesNotEndATunnelWhoseReaderPauses(t *testing.T) {
	alfa, bravo := oneWay(t)
	for name, s := range map[string]net.Conn{
		"dialled": alfa.tunnel(t, "bravo.example").Conn().NetConn(), "accepted": bravo.tunnel(t, "alfa.example").Conn().NetConn(),
	} {
		if ms := userTimeout(t, s); ms != 0 {
			t.Errorf("%s: a tunnel has a limit of %d ms", name, ms)
		}
	}
	beats, _, err := alfa.pool.Heartbeat(t.Context(), alfa.pool.Paths("bravo.example")[0])
	if err != nil {
		t.Fatal(err)
	}
	defer beats.Close()
	if ms := userTimeout(t, beats.(interface{ NetConn() net.Conn }).NetConn()); ms != int(gate.UserTimeout.Milliseconds()) {
		t.Errorf("heartbeats have a limit of %d ms", ms)
	}
}
