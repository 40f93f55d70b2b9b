// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package stream

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// canReadFD: sockets can be read without waiting.
const canReadFD = true

// readNow reads what is there.
func (w *wire) readNow(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w.buf, w.n, w.err = p, 0, nil
	err := w.raw.Read(w.read)
	n, readErr := w.n, w.err
	w.buf, w.err = nil, nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(readErr, syscall.EAGAIN):
		return 0, wouldBlock{}
	case readErr != nil:
		return 0, readError(readErr)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func readError(err error) error { return os.NewSyscallError("read", err) }

// readOnce is the callback of RawConn.Read; it never waits.
func (w *wire) readOnce(fd uintptr) bool {
	w.n, w.err = readFD(fd, w.buf)
	return true
}

// readFD reads once from a socket that does not block.
func readFD(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p) //nolint:gosec // a file descriptor
		if err == syscall.EINTR {          //nolint:errorlint // the bare number of the kernel
			continue
		}
		return max(n, 0), err
	}
}
