// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && (!linux || 386)

package stream

import (
	"errors"
	"syscall"
)

func readCall(fd uintptr, p []byte) (int, syscall.Errno) {
	return called(syscall.Read(int(fd), p)) //nolint:gosec // a file descriptor
}

func writeCall(fd uintptr, p []byte) (int, syscall.Errno) {
	return called(syscall.Write(int(fd), p)) //nolint:gosec // a file descriptor
}

func called(n int, err error) (int, syscall.Errno) {
	errno, _ := errors.AsType[syscall.Errno](err)
	return n, errno
}

// readable lets who waits read.
func readable(uintptr) bool { return true }
