// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptrace"
	"time"

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
	return facts(s.TLS)
}

// noting returns the configuration of a handshake that is noted. Who is at the
// other end is decided as before.
func (s *Sighting) noting(c *tls.Config) *tls.Config {
	c = c.Clone()
	verify := c.VerifyConnection
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		s.TLS = &cs
		return verify(cs)
	}
	return c
}

// busyPause is how long an inspection waits for a connection that the peer uses.
const busyPause = 10 * time.Millisecond

// errOnce: an inspected connection is not replaced by another.
var errOnce = errors.New("the connection has ended")

// Inspect opens a connection of its own to one address of a peer, in the way and
// under the trust of all others, and returns what was seen; for a path that the
// peer dials, it looks at one of the connections there. If Err is nil, the
// client's requests go over this path; the caller calls done at the end. It does
// not count for the ranking of paths.
func (p *Pool) Inspect(ctx context.Context, at Path, class Class) (saw Sighting, c *http.Client, done func()) {
	if at.Accepted {
		return p.inspectAccepted(ctx, at, class)
	}
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{DNSDone: func(found httptrace.DNSDoneInfo) {
		for _, ip := range found.Addrs {
			saw.Resolved = append(saw.Resolved, ip.String())
		}
	}})
	one, err := p.private(traced, at, class, &saw)
	if err != nil {
		saw.Err = classify(at.Address, err)
		alert, ok := remoteAlert(err)
		saw.NoProtocol = ok && alert == alertNoProtocol
		return saw, nil, func() {}
	}
	rt := &roundTripper{pool: p, want: want{trustDomain: at.TrustDomain, class: class}}
	rt.take = func(ctx context.Context, _ want) (*conn, error) { return one, one.free(ctx) }
	return saw, client(rt), func() { _ = one.framed.Close() }
}

// free waits until the connection carries no stream of the peer.
func (c *conn) free(ctx context.Context) error {
	tick := time.NewTicker(busyPause)
	defer tick.Stop()
	for c.framed.Busy() {
		select {
		case <-ctx.Done():
			return classify(c.path.Address, ctx.Err())
		case <-tick.C:
		}
	}
	if err := c.framed.Err(); err != nil {
		if _, refused := remoteAlert(err); !refused {
			err = &Error{Cause: report.CauseUnreachable, Message: at(c.path.Address, errOnce.Error()), Err: errOnce}
		}
		return classify(c.path.Address, err)
	}
	return nil
}

// inspectAccepted looks at a connection that the peer opened.
func (p *Pool) inspectAccepted(ctx context.Context, at Path, class Class) (saw Sighting, c *http.Client, done func()) {
	ctx, cancel := context.WithTimeout(ctx, reverseWait)
	defer cancel()
	one, err := p.take(ctx, want{trustDomain: at.TrustDomain, class: class, only: &at})
	if err != nil {
		saw.Err = classify(at.Address, err)
		return saw, nil, func() {}
	}
	saw.Remote, saw.TLS = one.framed.NetConn().RemoteAddr().String(), one.state
	p.parked(one)
	return saw, p.PathClient(at, class), func() {}
}
