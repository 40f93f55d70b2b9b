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
	var n int
	var readErr error
	if w.in {
		n, readErr = readFD(w.fd, p)
	} else {
		w.buf, w.n, w.err = p, 0, nil
		err := w.raw.Read(w.once)
		n, readErr = w.n, w.err
		w.buf, w.err = nil, nil
		if err != nil {
			return 0, err
		}
	}
	switch {
	case errors.Is(readErr, syscall.EAGAIN):
		return 0, wouldBlockError{}
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

// wait calls try now and whenever there is something to read, until it returns
// true. Inside, eager reads go to the socket at once. The goroutine waits here with
// a small stack, not in the depths of TLS.
func (w *wire) wait(try func() bool) error {
	w.try, w.empty = try, false
	err := w.raw.Read(w.until)
	w.try = nil
	return err
}

func (w *wire) readUntil(fd uintptr) bool {
	w.fd, w.in, w.empty = fd, true, false
	done := w.try()
	w.in = false
	return done
}

// readFD reads once from a socket that does not block.
func readFD(fd uintptr, p []byte) (int, error) {
	for {
		n, errno := readCall(fd, p)
		switch errno {
		case 0:
			return n, nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// writeFD writes once to a socket that does not block.
func writeFD(fd uintptr, p []byte) (int, error) {
	for {
		n, errno := writeCall(fd, p)
		switch errno {
		case 0:
			return n, nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

func writeError(err error) error { return os.NewSyscallError("write", err) }
