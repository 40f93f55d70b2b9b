// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"
)

// alertWait is how long an error of sending waits for what the other end said.
const alertWait = 250 * time.Millisecond

// outbound is a connection that we opened to a peer.
type outbound struct {
	*tls.Conn
	address string
	state   tls.ConnectionState
	closed  func()
	once    sync.Once

	reading sync.Once
	readErr error         // set before ended is closed
	ended   chan struct{} // closed at the first error of Read
}

func (c *outbound) chain() []*x509.Certificate { return c.state.PeerCertificates }

// Read keeps the first error: in TLS 1.3 the client has finished the handshake
// before the server has looked at its certificate, so a refusal arrives here, as
// an alert, and HTTP may only see that it could not write.
func (c *outbound) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.reading.Do(func() {
			c.readErr = err
			close(c.ended)
		})
	}
	return n, err
}

// Close ends the connection.
func (c *outbound) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// Cut ends the connection without waiting for the other end.
func (c *outbound) Cut() {
	c.NetConn().Close()
	c.Close()
}

// reason returns what the other end said when it ended the connection, or the
// given error.
func (c *outbound) reason(err error) error {
	t := time.NewTimer(alertWait)
	defer t.Stop()
	select {
	case <-c.ended:
		if _, ok := remoteAlert(c.readErr); ok {
			return c.readErr
		}
	case <-t.C:
	}
	return err
}
