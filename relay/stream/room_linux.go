// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hasRoom tells whether the socket takes a small write at once. What it cannot tell
// counts as room.
func hasRoom(raw syscall.RawConn) bool {
	room := true
	_ = raw.Control(func(fd uintptr) { // a socket that is closed says so when it is written to
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}} //nolint:gosec // a file descriptor
		n, err := unix.Poll(fds, 0)
		room = n != 0 || err != nil
	})
	return room
}

// acknowledged is how many bytes the other side's kernel has acknowledged so far.
func acknowledged(raw syscall.RawConn) (bytes uint64) {
	_ = raw.Control(func(fd uintptr) { // a socket that is closed makes no progress
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) //nolint:gosec // a file descriptor
		if err == nil {
			bytes = info.Bytes_acked
		}
	})
	return bytes
}
