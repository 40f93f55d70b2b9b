// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package podforward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/streaming/pkg/httpstream"
)

// maxFault bounds what is read of the kubelet's words when a connection fails.
const maxFault = 4 << 10

// conn is one stream to a port of a pod. It has no deadlines: those who use it
// bound their calls by contexts, whose end closes it.
type conn struct {
	data   httpstream.Stream
	remote address
	faulty chan struct{} // closed when fault is final

	mu    sync.Mutex // guards the fields below
	fault error

	closing sync.Once
	remove  func()
}

func newConn(d *Dialer, t *tunnel, data, faults httpstream.Stream, port int) *conn {
	c := &conn{
		data:   data,
		remote: address(d.pod + ":" + strconv.Itoa(port)),
		faulty: make(chan struct{}),
		remove: func() {
			t.RemoveStreams(data, faults)
			d.release(t)
		},
	}
	go c.watch(faults, func() { d.fault(t) })
	return c
}

// watch waits for what the kubelet says about the connection: nothing when it
// ends well, a line when the port could not be reached.
func (c *conn) watch(faults io.Reader, failed func()) {
	defer close(c.faulty)
	said, err := io.ReadAll(io.LimitReader(faults, maxFault))
	text := strings.TrimSpace(string(said))
	if err != nil || text == "" {
		return
	}
	c.mu.Lock()
	c.fault = fmt.Errorf("reaching %s: %s", c.remote, text)
	c.mu.Unlock()
	failed()
	c.Close()
}

func (c *conn) cause(err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return c.fault
	}
	return err
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	if errors.Is(err, io.EOF) {
		// The line about the cause may come a moment after the end of the data.
		select {
		case <-c.faulty:
		case <-time.After(100 * time.Millisecond):
		}
	}
	return n, c.cause(err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.data.Write(p)
	return n, c.cause(err)
}

func (c *conn) Close() error {
	c.closing.Do(func() {
		// Reset, unlike Close, also ends a pending Read.
		_ = c.data.Reset()
		c.remove()
	})
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return address("port-forward") }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

type address string

func (a address) Network() string { return "portforward" }
func (a address) String() string  { return string(a) }
