// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"

	"github.com/certlink/certlink/relay/report"
)

// Sighting is what the opening of a connection to one address showed, as far as
// it came. What the other end says of itself is proven only if Err is nil.
type Sighting struct {
	// Resolved are the IP addresses that the name has; none for an address
	// without a name.
	Resolved []string
	// Remote is the address of the TCP connection, "" when there was none.
	Remote string
	// TLS is the session when the other end's certificate was looked at, nil
	// when the handshake did not come so far.
	TLS *tls.ConnectionState
	// NoProtocol: the other end speaks TLS, but not this protocol over it.
	NoProtocol bool
	// Err says why there is no connection; nil when there is one.
	Err *Error
}

// Facts describes the TLS session for the report; zero without one.
func (s *Sighting) Facts() report.TLS {
	if s.TLS == nil {
		return report.TLS{}
	}
	return facts(*s.TLS)
}

// noting returns the configuration of a handshake that is noted. Who is at the
// other end is decided as before.
func (s *Sighting) noting(c *tls.Config) *tls.Config {
	verify := c.VerifyConnection
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		s.TLS = &cs
		return verify(cs)
	}
	return c
}

// errOnce: an inspected connection is not replaced by another.
var errOnce = errors.New("the connection has ended")

// Inspect opens a connection of its own to one address of a peer, in the way and
// under the trust of all others, and returns what was seen. If Err is nil, the
// client's requests go over this one connection; the caller calls done at the
// end. It does not count for the ranking of paths.
func (d *Dialer) Inspect(ctx context.Context, trustDomain, address string, class Class) (saw Sighting, client *http.Client, done func()) {
	t := target{trustDomain: trustDomain, class: class, address: address}
	now := d.cfg.Identity.Current()
	if now == nil {
		saw.Err = classify(address, errNobody)
		return saw, nil, func() {}
	}
	if _, err := callable(now, t); err != nil {
		saw.Err = classify(address, err)
		return saw, nil, func() {}
	}
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{DNSDone: func(found httptrace.DNSDoneInfo) {
		for _, ip := range found.Addrs {
			saw.Resolved = append(saw.Resolved, ip.String())
		}
	}})
	conn, err := d.connect(traced, "tcp", t, address, &saw)
	if err != nil {
		saw.Err = classify(address, err)
		alert, ok := remoteAlert(err)
		saw.NoProtocol = ok && alert == alertNoProtocol
		return saw, nil, func() {}
	}
	d.open.add(conn)
	unused := make(chan net.Conn, 1)
	unused <- conn
	transport := newTransport(class, func(context.Context, string, string) (net.Conn, error) {
		select {
		case c := <-unused:
			return c, nil
		default:
			return nil, &Error{Cause: report.CauseUnreachable, Message: at(address, errOnce.Error()), Err: errOnce}
		}
	})
	client = d.over(t, func() (*http.Transport, error) { return transport, nil })
	return saw, client, func() {
		transport.CloseIdleConnections()
		conn.Close()
	}
}
