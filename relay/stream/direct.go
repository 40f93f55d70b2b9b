// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"io"
	"net"
	"syscall"
)

// maxDirect is the largest write that the scheduler is not told of: one record.
const maxDirect = 17 << 10

// direct writes to a connection. Small writes go to its socket, if there is one. One
// goroutine at a time uses it.
type direct struct {
	dst   io.Writer
	raw   syscall.RawConn // nil where there is no socket
	write func(uintptr) bool

	p   []byte
	n   int
	err error
}

func (d *direct) init(dst io.Writer) {
	d.dst = dst
	if _, is := dst.(net.Conn); !is || !canReadFD {
		return
	}
	if c, ok := dst.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			d.raw, d.write = raw, d.drain
		}
	}
}

// Write is io.Writer. It heeds the deadlines of the connection.
func (d *direct) Write(p []byte) (int, error) {
	if d.raw == nil || len(p) > maxDirect {
		return d.dst.Write(p)
	}
	d.p, d.n, d.err = p, 0, nil
	err := d.raw.Write(d.write)
	d.p = nil
	if d.err != nil {
		err = d.err
	}
	return d.n, err
}

// drain writes until all has left or the socket is full. It runs inside
// RawConn.Write.
func (d *direct) drain(fd uintptr) bool {
	for d.n < len(d.p) {
		n, err := writeFD(fd, d.p[d.n:])
		switch {
		case err == syscall.EAGAIN: //nolint:errorlint // the bare number of the kernel
			return false
		case err != nil:
			d.err = writeError(err)
			return true
		}
		d.n += n
	}
	return true
}
