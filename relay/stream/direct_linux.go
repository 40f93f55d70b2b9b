// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !386

package stream

import (
	"syscall"
	"unsafe"
)

// The sockets do not block, so a call takes microseconds, and the scheduler is not
// told of it: package syscall tells it, and in a process that waits most of the time
// each telling wakes a thread of the runtime. That was a third of the processor time of a
// round trip of 64 bytes. The pointers are used as package unsafe allows it for
// system calls.

func readCall(fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // see above
	return int(n), errno                                                                                                   //nolint:gosec // at most len(p)
}

func writeCall(fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // see above
	return int(n), errno                                                                                                    //nolint:gosec // at most len(p)
}

// readable tells whether a read would return at once. It is for RawConn.Read.
func readable(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), 1, syscall.MSG_PEEK, 0, 0) //nolint:gosec // see above
		switch errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			return true
		}
	}
}
