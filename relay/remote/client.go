// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/certlink/certlink/relay/config"
)

// DefaultStall is how long a server may send too little before a request is given up.
const DefaultStall = 30 * time.Second

// maxRedirects is the number of redirects, all on the same host, of one request.
const maxRedirects = 5

// Options of a Client. The zero value is ready for use.
type Options struct {
	// Stall is how long a server may take to send nothing, or less than 1 KiB of an
	// answer that has not ended. Zero means DefaultStall.
	Stall time.Duration
	// Version of the relay for the User-Agent. Empty means that of the build.
	Version string
	// Log gets repeated requests, at debug. Nil means none.
	Log *slog.Logger
}

// Client calls one server. It may be used concurrently.
type Client struct {
	base      *url.URL
	transport *transport
	plain     *http.Client
	retry     *retryablehttp.Client
}

// New checks the URL. It reads no file and makes no request.
func New(cfg config.Remote, opts Options) (*Client, error) {
	base, err := parseBase(cfg.URL)
	if err != nil {
		return nil, err
	}
	if opts.Stall <= 0 {
		opts.Stall = DefaultStall
	}
	if opts.Version == "" {
		opts.Version = buildVersion()
	}
	c := &Client{base: base, transport: newTransport(cfg, base, opts)}
	c.plain = &http.Client{Transport: c.transport, CheckRedirect: c.redirect}
	c.retry = newRetry(c.plain, base.Host, opts.Log)
	return c, nil
}

func parseBase(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("reading URL of a remote server: it is not well-formed") // the error of url.Parse quotes it
	case base.Scheme != "https" && base.Scheme != "http", base.Hostname() == "":
		return nil, errors.New("reading URL of a remote server: it needs the scheme https or http, and a host")
	case base.User != nil:
		return nil, fmt.Errorf("reading URL of %s: credentials belong into files", base.Host)
	}
	base.Fragment, base.RawFragment = "", ""
	return base, nil
}

// HTTP returns a client of single attempts for packages that bring their own way of
// repeating, such as relay/taxii. It has all that the package promises but the
// bound on what comes in, and its errors name the URL as net/http does: see Clean.
func (c *Client) HTTP() *http.Client { return c.plain }

// Server is scheme and host of the server, such as "https://misp.alfa.example".
func (c *Client) Server() string { return c.base.Scheme + "://" + c.base.Host }

// Host is the host of the server, with the port if the URL names it.
func (c *Client) Host() string { return c.base.Host }

// Path is the path of the configured URL.
func (c *Client) Path() string { return c.base.EscapedPath() }

// Close closes idle connections. The Client stays usable.
func (c *Client) Close() { c.transport.close() }

// redirect follows on the same host only, and never to less protection.
func (c *Client) redirect(next *http.Request, before []*http.Request) error {
	first := before[0]
	switch {
	case !c.owns(next.URL):
		return ErrRedirect
	case first.Method != http.MethodGet && first.Method != http.MethodHead:
		return ErrRedirect // a body is not sent twice
	case len(before) > maxRedirects:
		return fmt.Errorf("%w: more than %d in a row", ErrRedirect, maxRedirects)
	}
	// The credentials are set anew, by the transport.
	next.Header.Del("Referer")
	return nil
}

// owns tells whether a URL is on the server of this client.
func (c *Client) owns(u *url.URL) bool { return sameServer(c.base, u) }

// sameServer tells whether u is on the server of base: scheme, host and port are
// the same, or base is http and u is https on the default ports of both.
func sameServer(base, u *url.URL) bool {
	if u.User != nil || !strings.EqualFold(base.Hostname(), u.Hostname()) {
		return false
	}
	if base.Scheme == u.Scheme {
		return port(base) == port(u)
	}
	return base.Scheme == "http" && u.Scheme == "https" && port(base) == "80" && port(u) == "443"
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
