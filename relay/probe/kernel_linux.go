// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ask asks the kernel about a connection (tcp(7), TCP_INFO).
func ask(socket syscall.RawConn) (k kernel, ok bool) {
	err := socket.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) //nolint:gosec // a file descriptor
		if err == nil && info.State == unix.BPF_TCP_ESTABLISHED {
			k = kernel{segment: time.Duration(info.Last_ack_recv) * time.Millisecond, waiting: info.Unacked > 0, delivered: info.Delivered}
			ok = true
		}
	})
	return k, ok && err == nil
}
