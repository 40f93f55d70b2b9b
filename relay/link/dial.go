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

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/route"
)

// connectTimeout and handshakeTimeout bound one attempt at one address.
const (
	connectTimeout   = 5 * time.Second
	handshakeTimeout = 5 * time.Second
)

// errPlain: nothing of a link goes over plain TCP.
var errPlain = errors.New("requests to a peer need https")

func refusePlain(context.Context, string, string) (net.Conn, error) { return nil, errPlain }

// callable returns the peer of a target if we may call it, or an *Error.
func callable(now *identity.Snapshot, t target) (config.Peer, error) {
	peer, known := now.Peer(t.trustDomain)
	switch {
	case !known:
		return peer, &Error{Cause: report.CauseNoEndpoints, Message: fmt.Sprintf("no peer of ours has the trust domain %q", t.trustDomain)}
	case peer.State == config.Revoked:
		return peer, &Error{Cause: report.CauseRefused, Message: fmt.Sprintf("peer %q is Revoked by our side", peer.Name)}
	case len(peer.Endpoints) == 0:
		return peer, &Error{Cause: report.CauseNoEndpoints, Message: fmt.Sprintf("we have no address of peer %q, it dials us", peer.Name)}
	}
	return peer, nil
}

// dialer returns the function that opens connections for a pool.
func (d *Dialer) dialer(t target, peer config.Peer) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		if t.address != "" {
			return d.dial(ctx, network, t, t.address)
		}
		return d.dialBest(ctx, network, t, peer)
	}
}

// dialBest tries the paths in the order of their rank.
func (d *Dialer) dialBest(ctx context.Context, network string, t target, peer config.Peer) (net.Conn, error) {
	var failures []*Error
	for _, address := range route.Rank(d.history.paths(peer)) {
		conn, err := d.dial(ctx, network, t, address)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil && len(failures) > 0 {
			break // the caller has gone: this says nothing about the path
		}
		failures = append(failures, classify(address, err))
	}
	return nil, together(failures)
}

// together is what several failed paths mean: the cause that says most, with the
// messages of all.
func together(failures []*Error) error {
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

// dial opens one connection to one address, or returns an *Error.
func (d *Dialer) dial(ctx context.Context, network string, t target, address string) (net.Conn, error) {
	conn, err := d.connect(ctx, network, t, address, &Sighting{})
	if err != nil {
		d.dials.WithLabelValues("failed").Inc()
		if ctx.Err() == nil {
			d.history.note(t.trustDomain, address, false, d.cfg.Clock())
		}
		return nil, classify(address, err)
	}
	d.dials.WithLabelValues("opened").Inc()
	d.open.add(conn)
	// The handshake went by the snapshot of its beginning. A change of trust since
	// then found nothing to cut, so the present one has the last word.
	if _, _, err := d.cfg.Identity.Current().VerifyPeer(conn.chain()); err != nil {
		conn.Cut()
		return nil, classify(address, err)
	}
	return conn, nil
}

// connect opens one connection, and notes what it saw on the way.
func (d *Dialer) connect(ctx context.Context, network string, t target, address string, saw *Sighting) (*outbound, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("reading the address %q: %w", address, err)
	}
	dialer := net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: gate.KeepAlive,
		Control: func(_, _ string, raw syscall.RawConn) error {
			return gate.SetUserTimeout(raw)
		},
	}
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	saw.Remote = raw.RemoteAddr().String()
	conn := tls.Client(raw, saw.noting(d.cfg.Identity.Current().LinkClient(t.trustDomain, host, string(t.class))))
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != string(t.class) {
		raw.Close()
		return nil, &Error{Cause: report.CauseProtocol,
			Message: at(address, fmt.Sprintf("the relay there did not agree on the protocol %s: one of the two sides must be upgraded", t.class))}
	}
	o := &outbound{Conn: conn, address: address, state: state, ended: make(chan struct{})}
	o.closed = func() { d.open.remove(o) }
	return o, nil
}
