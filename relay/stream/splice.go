// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"io"
	"syscall"
)

// Meter is told of each burst of bytes before it is passed on. It may block, which
// holds the flow back; its error ends the transfer. It may be nil.
type Meter func(n int) error

// SendFrom sends what it reads from a local connection until the end, then ends our
// direction. From a socket it reads what is there and sends it in one write; while
// it waits it holds no buffer. The error is that of src, of the meter or of the
// stream (then Err is not nil).
func (s *Stream) SendFrom(src io.Reader, meter Meter) (int64, error) {
	r := newSource(src)
	var total int64
	for {
		buf, n, err := r.next()
		end := errors.Is(err, io.EOF)
		if n > 0 && meter != nil {
			if metered := meter(n); metered != nil {
				putFrame(buf)
				return total, metered
			}
		}
		if n > 0 || end {
			if buf == nil {
				buf = getFrame()
			}
			if failed := s.send(buf, n, end); failed != nil {
				return total, failed
			}
			total += int64(n)
		} else if buf != nil {
			putFrame(buf)
		}
		if end {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// ReadFrom is io.ReaderFrom: it sends what it reads and leaves our direction open.
func (s *Stream) ReadFrom(src io.Reader) (int64, error) {
	r := newSource(src)
	var total int64
	for {
		buf, n, err := r.next()
		if n > 0 {
			if failed := s.send(buf, n, false); failed != nil {
				return total, failed
			}
			total += int64(n)
		} else if buf != nil {
			putFrame(buf)
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// source reads bursts from a local connection.
type source struct {
	src  io.Reader
	raw  syscall.RawConn // nil where there is no socket
	read func(uintptr) bool
	buf  *frameBuffer
	n    int
	err  error
}

func newSource(src io.Reader) *source {
	r := &source{src: src}
	if c, ok := src.(syscall.Conn); ok && canReadFD {
		if raw, err := c.SyscallConn(); err == nil {
			r.raw, r.read = raw, r.drain
		}
	}
	return r
}

// next waits for bytes and returns the buffer that holds the first n. The buffer is
// the caller's; it may be nil when n is zero.
func (r *source) next() (buf *frameBuffer, n int, err error) {
	if r.raw == nil {
		buf = getFrame()
		n, err = r.src.Read(buf.payload())
		return buf, n, err
	}
	r.buf, r.n, r.err = nil, 0, nil
	if err := r.raw.Read(r.read); err != nil && r.err == nil {
		r.err = err
	}
	buf, n, err = r.buf, r.n, r.err
	r.buf = nil
	return buf, n, err
}

// drain reads until the socket is empty (a read that leaves room says so) or the
// buffer full. It runs inside
// RawConn.Read: waiting for readiness anywhere else would miss some.
func (r *source) drain(fd uintptr) bool {
	if r.buf == nil {
		r.buf = getFrame()
	}
	p := r.buf.payload()
	for r.n < len(p) {
		n, err := readFD(fd, p[r.n:])
		switch {
		case err == syscall.EAGAIN: //nolint:errorlint // the bare number of the kernel
			if r.n > 0 {
				return true
			}
			putFrame(r.buf)
			r.buf = nil
			return false
		case err != nil:
			r.err = readError(err)
			return true
		case n == 0:
			r.err = io.EOF
			return true
		}
		if r.n += n; r.n < len(p) {
			return true // it is empty; if not, the next call finds out before it waits
		}
	}
	return true
}

// DeliverTo writes what the other side sends to a local connection until END. It
// writes what has arrived in one write, and holds no buffer while it waits. The
// error is that of dst, of the meter or of the stream (then Err is not nil); after
// one of the first two something may be lost, and the stream is to be aborted.
func (s *Stream) DeliverTo(dst io.Writer, meter Meter) (int64, error) {
	return s.deliverTo(dst, meter, false)
}

// DeliverAll is DeliverTo for who then calls ReadOn. Until that nobody reads the connection, if END came
// alone, so it is not to be put off.
func (s *Stream) DeliverAll(dst io.Writer, meter Meter) (int64, error) {
	return s.deliverTo(dst, meter, true)
}

func (s *Stream) deliverTo(dst io.Writer, meter Meter, lend bool) (int64, error) {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	var to direct
	to.init(dst)
	var total int64
	for {
		s.lent = lend
		err := s.waitData()
		s.lent = false // while bytes wait for dst somebody else reads on
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, end, err := s.deliver(&to, meter)
		total += int64(n)
		if err != nil || end {
			return total, err
		}
	}
}

// WriteTo is io.WriterTo.
func (s *Stream) WriteTo(dst io.Writer) (int64, error) { return s.DeliverTo(dst, nil) }

// deliver passes one burst on.
func (s *Stream) deliver(dst io.Writer, meter Meter) (n int, end bool, err error) {
	buf := getFrame()
	defer putFrame(buf)
	p := buf.payload()
	n, err = s.gather(p)
	end = errors.Is(err, io.EOF)
	if end || errors.Is(err, wouldBlockError{}) {
		err = nil
	}
	if n > 0 && meter != nil {
		if err := meter(n); err != nil {
			return 0, false, err
		}
	}
	if n > 0 {
		if _, err := dst.Write(p[:n]); err != nil {
			return 0, false, err
		}
	}
	return n, end, err
}

// gather reads what has arrived, over the borders of frames. It waits for the first
// byte only.
func (s *Stream) gather(p []byte) (n int, err error) {
	for n < len(p) {
		for s.c.remain == 0 {
			if err := s.next(true); err != nil {
				return n, err
			}
		}
		m, err := s.readPayload(p[n:], n > 0)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
