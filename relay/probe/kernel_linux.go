// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lastSegment asks the kernel how long ago it took a segment of the other end on
// a connection (tcp(7), TCP_INFO): out of order, repeated or without data, too.
func lastSegment(socket syscall.RawConn) (ago time.Duration, ok bool) {
	err := socket.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil && info.State == unix.BPF_TCP_ESTABLISHED {
			ago, ok = time.Duration(info.Last_ack_recv)*time.Millisecond, true
		}
	})
	return ago, ok && err == nil
}
