// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SetUserTimeout sets UserTimeout on a socket.
func SetUserTimeout(raw syscall.RawConn) error { return setUserTimeout(raw, UserTimeout) }

// ClearUserTimeout takes it off again. While it is set, the kernel also ends a
// connection whose other end takes no bytes for so long, though it answers: that
// is back-pressure, not a cut. Who clears it asks Unacknowledged instead.
func ClearUserTimeout(raw syscall.RawConn) error { return setUserTimeout(raw, 0) }

func setUserTimeout(raw syscall.RawConn, d time.Duration) error {
	var set error
	err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds())) //nolint:gosec // a file descriptor
	})
	if err := errors.Join(err, set); err != nil {
		return fmt.Errorf("setting TCP_USER_TIMEOUT: %w", err)
	}
	return nil
}

// Unacknowledged tells whether sent bytes wait for their acknowledgement, and how
// long ago the last one came. Bytes that the other end's window does not let out
// are not sent (tcp(7), TCP_INFO).
func Unacknowledged(raw syscall.RawConn) (waiting bool, since time.Duration) {
	_ = raw.Control(func(fd uintptr) { // a socket that is closed waits for nothing
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) //nolint:gosec // a file descriptor
		if err == nil {
			waiting, since = info.Unacked > 0, time.Duration(info.Last_ack_recv)*time.Millisecond
		}
	})
	return waiting, since
}
