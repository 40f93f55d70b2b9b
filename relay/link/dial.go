// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// connectTimeout and handshakeTimeout bound one attempt at one address.
const (
	connectTimeout   = 5 * time.Second
	handshakeTimeout = 5 * time.Second
)

// fill dials a connection for which there is a reservation and parks it. It
// returns nil when there is one.
func (p *Pool) fill(pt *path, class Class) *Error {
	p.mu.Lock()
	life := pt.life
	p.mu.Unlock()
	c, err := p.dial(life, pt.Path, class, nil, false)
	p.mu.Lock()
	pt.lanes[class].opening--
	if err != nil {
		pt.peer.held[class]--
	}
	p.mu.Unlock()
	if err == nil {
		err = p.admit(c, pt)
	}
	if err != nil {
		p.metrics.dials.WithLabelValues("failed").Inc()
		e := classify(pt.Address, err)
		p.failed(pt, e)
		return e
	}
	p.metrics.dials.WithLabelValues("opened").Inc()
	p.parked(c)
	return nil
}

// dial opens a framed connection to an address, and notes in saw, if there is one, what
// it saw on the way. It is not in the pool yet: admit takes it in.
func (p *Pool) dial(ctx context.Context, to Path, class Class, saw *Sighting, private bool) (*conn, error) {
	now := p.cfg.Identity.Current()
	if now == nil {
		return nil, errNobody
	}
	begun := p.cfg.Clock()
	host, _, err := net.SplitHostPort(to.Address)
	if err != nil {
		return nil, fmt.Errorf("reading the address %q: %w", to.Address, err)
	}
	tlsConn, err := p.connect(ctx, to, class, now.LinkClient(to.TrustDomain, host, string(class)), saw)
	if err != nil {
		return nil, err
	}
	state := tlsConn.ConnectionState()
	c := newConn(p, class, &state, now.LinkSerial(), begun)
	c.private = private
	c.watch(tlsConn)
	c.framed, err = stream.Client(tlsConn, stream.Hello{Address: to.Address, Instance: p.instance, Renews: true}, c.config())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// connect opens an authenticated connection.
func (p *Pool) connect(ctx context.Context, to Path, class Class, config *tls.Config, saw *Sighting) (*tls.Conn, error) {
	dialer := net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: gate.KeepAlive,
		Control: func(_, _ string, raw syscall.RawConn) error {
			return gate.SetUserTimeout(raw)
		},
	}
	raw, err := dialer.DialContext(ctx, "tcp", to.Address)
	if err != nil {
		return nil, err
	}
	if saw != nil {
		saw.Remote = raw.RemoteAddr().String()
		config = saw.noting(config)
	}
	conn := tls.Client(stream.Under(raw), config)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != string(class) {
		raw.Close()
		return nil, &Error{Cause: report.CauseProtocol,
			Message: at(to.Address, fmt.Sprintf("the relay there did not agree on the protocol %s: one of the two sides must be upgraded", class))}
	}
	return conn, nil
}

// admit takes a connection into the pool, in the place that was reserved for it.
// On an error the connection is closed and the place is free.
func (p *Pool) admit(c *conn, pt *path) error {
	p.mu.Lock()
	if c.ended || p.closing || !pt.Accepted && !pt.wanted {
		pt.peer.held[c.class]--
		p.mu.Unlock()
		c.isReady()
		c.framed.Cut()
		if err := c.framed.Err(); !errors.Is(err, stream.ErrClosed) {
			return err
		}
		return errClosedAtOnce
	}
	if c.serial == p.serial {
		c.serial = p.serial // one copy for all
	}
	c.path, c.opened = pt, p.cfg.Clock()
	c.since = c.opened
	pt.conns[c] = struct{}{}
	p.open.add(c)
	p.mu.Unlock()
	defer c.isReady()
	// The handshake went by the snapshot of its beginning. A change of trust since
	// then found nothing to cut, so the present one has the last word.
	if _, _, err := p.cfg.Identity.Current().VerifyPeer(c.chain()); err != nil {
		c.Cut()
		return err
	}
	return nil
}

// together is what several failed paths mean: the cause that says most, with the
// messages of all.
func together(failures []*Error) *Error {
	if len(failures) == 1 {
		return failures[0]
	}
	e := &Error{Cause: report.CauseUnreachable}
	messages := make([]string, 0, len(failures))
	for _, f := range failures {
		if e.Cause == report.CauseUnreachable {
			e.Cause = f.Cause
		}
		if !slices.Contains(messages, f.Message) {
			messages = append(messages, f.Message)
		}
	}
	e.Message = strings.Join(messages, "; ")
	return e
}
