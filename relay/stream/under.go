// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// wouldBlockError is returned by an eager read that found nothing. It is temporary, so
// crypto/tls keeps what it has of a record and goes on later.
type wouldBlockError struct{}

func (wouldBlockError) Error() string   { return "nothing to read at the moment" }
func (wouldBlockError) Timeout() bool   { return false }
func (wouldBlockError) Temporary() bool { return true }

var _ net.Error = wouldBlockError{}

// wire is a connection under TLS.
type wire struct {
	net.Conn
	raw   syscall.RawConn // nil where there is no socket
	heard *atomic.Int64   // may be nil; set before the first read of a stream

	// The reader's own: one goroutine at a time reads.
	eager bool
	empty bool    // the last read left room: there was no more
	fd    uintptr // inside RawConn.Read: the socket
	in    bool    // inside RawConn.Read
	once  func(uintptr) bool
	until func(uintptr) bool
	try   func() bool // what until calls
	buf   []byte
	n     int
	err   error

	// unlocked by the reader: TLS answers a key update from the reading side.
	mu     sync.Mutex
	held   bool
	out    *wireBuffer
	socket direct
}

// Under returns a connection to put under TLS. The TLS records of one frame leave
// it in one system call, and a stream can read from it what is there without
// waiting. It holds a buffer only while a frame is being written. Any net.Conn
// will do; one without a socket gains nothing.
func Under(raw net.Conn) net.Conn {
	w := &wire{Conn: raw}
	w.socket.init(raw)
	if s, ok := raw.(syscall.Conn); ok {
		if rc, err := s.SyscallConn(); err == nil {
			w.raw = rc
			w.once, w.until = w.readOnce, w.readUntil
		}
	}
	return w
}

// Read reads as net.Conn does; inside an eager section it does not wait.
func (w *wire) Read(p []byte) (int, error) {
	var n int
	var err error
	switch {
	case !w.eager:
		n, err = w.Conn.Read(p)
	case w.raw == nil || w.empty && !w.in: // before a wait only the kernel knows
		return 0, wouldBlockError{}
	default:
		n, err = w.readNow(p)
	}
	w.empty = n < len(p)
	if n > 0 && w.heard != nil {
		w.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// Write writes, or keeps what is written while the records of a frame are collected.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held {
		w.out.b = append(w.out.b, p...)
		return len(p), nil
	}
	return w.socket.Write(p)
}

// Hold collects what is written from now on, until Flush.
func (w *wire) Hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held {
		w.held, w.out = true, getWire()
	}
}

// Flush writes what was collected since Hold, in one system call.
func (w *wire) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held {
		return nil
	}
	_, err := w.socket.Write(w.out.b)
	putWire(w.out)
	w.held, w.out = false, nil
	return err
}

// CloseWrite closes the sending direction, where there is one.
func (w *wire) CloseWrite() error {
	if c, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// SyscallConn gives access to the socket.
func (w *wire) SyscallConn() (syscall.RawConn, error) {
	if w.raw == nil {
		return nil, syscall.EINVAL
	}
	return w.raw, nil
}

// NetConn returns the connection below.
func (w *wire) NetConn() net.Conn { return w.Conn }

// wireOf finds the wire under a TLS connection, or nil.
func wireOf(conn net.Conn) *wire {
	for range 8 { // no chain of wrappers is longer
		if w, ok := conn.(*wire); ok {
			return w
		}
		below, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = below.NetConn()
	}
	return nil
}
