// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// Bounds of connections.
const (
	dialTimeout    = 10 * time.Second
	idleTimeout    = 60 * time.Second
	maxHeaderBytes = 64 << 10
	maxConnections = 8
)

// transport is an http.RoundTripper to one server.
type transport struct {
	cfg   config.Remote
	files config.Remote // the same with the files of the directory, for errors
	base  *url.URL
	stall time.Duration
	agent string

	mu sync.Mutex // guards what follows
	// current is made of the files with this sum.
	current *http.Transport
	sum     [sha256.Size]byte
}

func newTransport(cfg config.Remote, base *url.URL, opts Options) *transport {
	return &transport{cfg: cfg, files: expand(cfg), base: base, stall: opts.Stall, agent: "certlink/" + opts.Version}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.roundTrip(req)
	if err != nil && req.Body != nil {
		_ = req.Body.Close() // http.RoundTripper wants it closed, twice does no harm
	}
	return resp, err
}

func (t *transport) roundTrip(req *http.Request) (*http.Response, error) {
	if !sameServer(t.base, req.URL) {
		return nil, ErrRedirect
	}
	inner, authorization, err := t.now()
	if err != nil {
		return nil, err
	}
	w, ctx := newWatch(req.Context(), t.stall)
	out := req.Clone(ctx)
	out.Header.Set("User-Agent", t.agent)
	out.Header.Del("Authorization")
	if authorization != "" {
		out.Header.Set("Authorization", authorization)
	}
	packed := out.Header.Get("Accept-Encoding") == "" && out.Header.Get("Range") == "" && out.Method != http.MethodHead
	if packed {
		out.Header.Set("Accept-Encoding", "gzip")
	}
	if out.Body != nil && out.Body != http.NoBody {
		out.Body = &sentBody{ReadCloser: out.Body, watch: w}
	}
	resp, err := inner.RoundTrip(out)
	if err != nil {
		w.stop()
		return nil, w.cause(ctx, err)
	}
	w.rest()
	t.open(ctx, resp, w, packed)
	return resp, nil
}

// open puts what watches and bounds around the body of an answer.
func (t *transport) open(ctx context.Context, resp *http.Response, w *watch, packed bool) {
	m := &meter{}
	if c := callOf(ctx); c != nil {
		m = c.meter
	}
	m.begin(resp.ContentLength)
	b := &body{raw: resp.Body, watch: w, ctx: ctx, meter: m}
	b.source = io.Reader(&b.counted)
	b.counted.body = b
	if packed && strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		b.gzipped = true
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		resp.ContentLength, resp.Uncompressed = -1, true
	}
	resp.Body = b
}

// now returns what the files say at this moment. When they have changed, the
// connections that were made with the old ones end as soon as they are idle.
func (t *transport) now() (*http.Transport, string, error) {
	s, err := readSecrets(t.cfg)
	if err != nil {
		t.close()
		return nil, "", err
	}
	authorization, err := s.authorization(t.files)
	if err != nil {
		return nil, "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := s.sum()
	if t.current != nil && t.sum == sum {
		return t.current, authorization, nil
	}
	conf, err := s.tls(t.files)
	if err != nil {
		return nil, "", err
	}
	if t.current != nil {
		t.current.CloseIdleConnections()
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	t.sum = sum
	t.current = &http.Transport{
		Proxy: nil, DialContext: dialer.DialContext, TLSClientConfig: conf, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: idleTimeout, MaxConnsPerHost: maxConnections,
		MaxIdleConnsPerHost: 2, MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression: true, // see open, which bounds what it decompresses
	}
	return t.current, authorization, nil
}

func (t *transport) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil {
		t.current.CloseIdleConnections()
	}
}
