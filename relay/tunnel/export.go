// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/stream"
)

// headTimeout bounds the head of a CONNECT, targetTimeout the connection to the
// target, and farewell what is read of a stream after it was refused.
const (
	headTimeout   = 10 * time.Second
	targetTimeout = 4 * time.Second
	farewell      = 5 * time.Second
)

// Serve answers one stream that a peer opened, and returns when it has ended. The
// peer is authenticated. The stream is closed in every case.
func (e *Engine) Serve(ctx context.Context, peer access.Peer, s *stream.Stream) {
	defer s.Close()
	_ = s.SetReadDeadline(time.Now().Add(headTimeout))
	head, rest, err := readHead(s)
	if err != nil && !errors.Is(err, errHead) {
		e.metrics.refused.WithLabelValues(refuseHead.label).Inc()
		s.Abort()
		return
	}
	var name string
	if err == nil {
		name, err = parseRequest(head)
	}
	if err != nil {
		e.refuse(s, refuseHead)
		return
	}
	_ = s.SetReadDeadline(time.Time{})
	if no := e.serve(ctx, peer.Name, name, s, rest); no != nil {
		e.refuse(s, no)
	}
}

// serve lets the peer use the service, or says why not.
func (e *Engine) serve(ctx context.Context, peer, name string, s *stream.Stream, rest []byte) *refusal {
	x, p, no := e.now.Load().export(peer, name)
	if no != nil {
		if x != nil {
			x.service.refused.Add(1)
			e.changed()
		}
		return no
	}
	if !occupy(&p.account.open, p.Limits.TunnelConnections) {
		return refusePeerLimit
	}
	defer p.account.open.Add(-1)
	if !occupy(&x.service.open, x.MaxConnections) {
		return refuseServiceLimit
	}
	defer x.service.open.Add(-1)
	target, err := e.dial(ctx, x.Target)
	if err != nil {
		e.trouble(x.service, say("we cannot reach %s: %s; look at the service on our side", x.Target, plain(err)))
		return refuseTarget
	}
	e.trouble(x.service, "")
	c := e.connect(x.service, p.account, target, s, x.IdleSeconds)
	if _, err := s.Write(response(200, "")); err != nil {
		c.cut()
		return nil
	}
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	e.run(c, rest)
	return nil
}

func (e *Engine) dial(ctx context.Context, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, targetTimeout)
	defer cancel()
	return e.cfg.Dial(ctx, "tcp", target)
}

// refuse tells the peer that it gets no connection, and waits for it to end the
// stream, so that the connection below can carry another.
func (e *Engine) refuse(s *stream.Stream, no *refusal) {
	e.metrics.refused.WithLabelValues(no.label).Inc()
	_ = s.SetDeadline(time.Now().Add(farewell))
	if _, err := s.Write(response(no.status, no.text)); err != nil {
		return
	}
	_ = s.CloseWrite()
	var rest [512]byte
	for range maxHead {
		if _, err := s.Read(rest[:]); err != nil {
			return
		}
	}
}

// plain names an error of the network without what differs each time.
func plain(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return fmt.Sprintf("the name %q does not exist", dns.Name)
		}
		return fmt.Sprintf("the name %q cannot be looked up now", dns.Name)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return "no answer in time"
	}
	return err.Error()
}
