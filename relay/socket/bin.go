// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"net"
	"sync"
	"time"
)

// binAfter is how long connections wait in a Bin at most, and binFull how many.
const (
	binAfter = 50 * time.Millisecond
	binFull  = 256
)

// Bin closes connections that are over, some at a time. close(2) goes through package
// syscall, which wakes a thread of the runtime, so many share a waking. The zero value is
// ready for use; all methods may be called concurrently.
type Bin struct {
	mu    sync.Mutex // guards what follows
	conns []net.Conn
	due   *time.Timer // nil while conns is empty
}

// Put closes a connection soon. Both its directions have ended, so that nobody waits for
// the close, and the caller does not use it any more.
func (b *Bin) Put(conn net.Conn) {
	b.mu.Lock()
	b.conns = append(b.conns, conn)
	full := len(b.conns) >= binFull
	if b.due == nil {
		b.due = time.AfterFunc(binAfter, b.Empty)
	}
	b.mu.Unlock()
	if full {
		b.Empty()
	}
}

// Empty closes what is in the bin.
func (b *Bin) Empty() {
	b.mu.Lock()
	conns := b.conns
	b.conns = nil
	if b.due != nil {
		b.due.Stop()
		b.due = nil
	}
	b.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // it is over
	}
}
