// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/socket"
	"github.com/certlink/certlink/relay/stream"
)

// headTimeout bounds the head of a CONNECT, targetTimeout the connection to the
// target, and farewell what is read of a stream after it was refused.
const (
	headTimeout   = 10 * time.Second
	targetTimeout = 4 * time.Second
	farewell      = 5 * time.Second
)

// Serve answers one stream that a peer opened. The peer is authenticated. The stream
// is closed in every case, and cut when the context ends. Serve returns when the
// stream was refused, or its connection rests or has ended in one direction; Run waits for its end.
func (e *Engine) Serve(ctx context.Context, peer access.Peer, s *stream.Stream) {
	c, rest, no := e.admit(ctx, peer.Name, s)
	if no != nil {
		e.refuse(s, no)
	}
	if c == nil {
		_ = s.Close()
		return
	}
	c.unbind = context.AfterFunc(ctx, c.cut)
	e.run(c, rest)
}

// admit reads what the peer asks for, and connects to the service or says why not.
// Without a connection and a refusal the stream has failed.
func (e *Engine) admit(ctx context.Context, peer string, s *stream.Stream) (*connection, []byte, *refusal) {
	_ = s.SetReadDeadline(time.Now().Add(headTimeout))
	head, rest, err := readHead(s)
	if err != nil && !errors.Is(err, errHead) {
		e.metrics.refused.WithLabelValues(refuseHead.label).Inc()
		s.Abort()
		return nil, nil, nil
	}
	var name string
	if err == nil {
		name, err = parseRequest(head)
	}
	if err != nil {
		return nil, nil, refuseHead
	}
	_ = s.SetReadDeadline(time.Time{})
	c, no := e.export(ctx, peer, name, s)
	return c, rest, no
}

// export connects a stream of the peer to the service, or says why not.
func (e *Engine) export(ctx context.Context, peer, name string, s *stream.Stream) (*connection, *refusal) {
	x, p, no := e.now.Load().export(peer, name)
	if no != nil {
		if x != nil {
			if n := x.service.refused.Add(1); steps(n) != steps(n-1) { // a peer may ask as often as it likes
				e.changed()
			}
		}
		return nil, no
	}
	if no := occupy(p, x.service, x.MaxConnections); no != nil {
		return nil, no
	}
	target, err := socket.Dial(ctx, x.Target, targetTimeout)
	if err != nil {
		release(p.account, x.service)
		e.trouble(x.service, say("we cannot reach %s: %s; look at the service on our side", x.Target, plain(err)))
		return nil, refuseTarget
	}
	e.trouble(x.service, "")
	c := e.connect(x.service, p.account, target, s, x.IdleSeconds)
	if !c.answer() {
		return nil, nil
	}
	return c, nil
}

// answer tells the peer that it is connected; false if the stream has failed. A
// peer that takes no bytes is not waited for: nobody else looks after the
// connection yet.
func (c *connection) answer() bool {
	_ = c.stream.SetWriteDeadline(time.Now().Add(farewell))
	_, err := c.stream.Write(response(http.StatusOK, ""))
	if err == nil {
		err = c.stream.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		c.cut()
		c.release()
	}
	return err == nil
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
