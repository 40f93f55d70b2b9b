// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/certlink/certlink/relay/report"
)

// roundTripper sends requests to one target.
type roundTripper struct {
	dialer *Dialer
	target target
	// transport has the connections.
	transport func() (*http.Transport, error)
}

// RoundTrip sends a request. An error is an *Error unless the request's own
// context ended. The response's TLS state is that of the connection.
func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || req.URL.Host != rt.target.trustDomain {
		return nil, &Error{Cause: report.CauseProtocol, Message: fmt.Sprintf(
			"a request for %s://%s does not belong to the peer %q", req.URL.Scheme, req.URL.Host, rt.target.trustDomain)}
	}
	transport, err := rt.transport()
	if err != nil {
		return nil, err
	}
	var used atomic.Pointer[outbound]
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if c, ok := info.Conn.(*outbound); ok {
			used.Store(c)
		}
	}})
	out := req.Clone(ctx)
	// Every request of the link may be repeated (messages are keyed by id), so HTTP
	// may send it again when the peer had closed an idle connection. An empty value
	// says so without a header.
	out.Header["Idempotency-Key"] = nil
	resp, err := transport.RoundTrip(out)
	conn := used.Load()
	if err != nil {
		return nil, rt.explain(req.Context(), conn, err)
	}
	if conn != nil {
		resp.TLS = &conn.state
		rt.dialer.history.note(rt.target.trustDomain, conn.address, true, rt.dialer.cfg.Clock())
	}
	return resp, nil
}

// explain says what an error means. When the caller gave up, it means nothing.
func (rt *roundTripper) explain(ctx context.Context, conn *outbound, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	if conn == nil {
		return classify(rt.target.address, err)
	}
	if ctx.Err() == nil {
		err = conn.reason(err)
	}
	return classify(conn.address, err)
}

// TLSFacts describes the TLS session of a response for the report.
func TLSFacts(resp *http.Response) report.TLS {
	if resp.TLS == nil {
		return report.TLS{}
	}
	return facts(*resp.TLS)
}
