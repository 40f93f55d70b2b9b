// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Bounds of the Client.
const (
	// DefaultStall is how long a server may say nothing before a request is given up.
	DefaultStall = 30 * time.Second
	// maxPageBytes is the longest page. Its length costs no memory.
	maxPageBytes = 1 << 30
	// maxRoots is the number of API roots that are looked into.
	maxRoots = 32
)

var (
	// ErrNotTAXII: what answers is no TAXII 2.1 server.
	ErrNotTAXII = errors.New("the answer is not TAXII 2.1")
	// ErrNoCollection: no API root shows us the collection.
	ErrNoCollection = errors.New("no such collection is shown to us")
)

// ClientConfig is what a Client needs.
type ClientConfig struct {
	// HTTP makes the requests. Required. It authenticates both sides.
	HTTP *http.Client
	// Server is scheme and host, for example "https://bravo.example"; with a path, it
	// is the URL of a discovery or of one API root. Required.
	Server string
	// Stall; zero means DefaultStall.
	Stall time.Duration
	// Logger; nil means none.
	Logger *slog.Logger
}

// Client reads from one TAXII 2.1 server, and adds to it. It may be used
// concurrently. What it learns of a server's mistakes it remembers: one serves a
// whole pull, a new one looks again.
type Client struct {
	server *url.URL
	// start is the path of the discovery, or of the only API root.
	start  string
	stall  time.Duration
	retry  *retryablehttp.Client
	quirks quirks
}

// NewClient checks the configuration. It makes no request.
func NewClient(cfg ClientConfig) (*Client, error) {
	server, err := url.Parse(cfg.Server)
	switch {
	case err != nil || server.Host == "":
		return nil, fmt.Errorf("reading server URL %q: it needs a scheme and a host", brief(cfg.Server))
	case server.User != nil || server.RawQuery != "" || server.Fragment != "":
		return nil, fmt.Errorf("reading server URL of %q: it may have a path and nothing more, credentials least of all", server.Host)
	}
	if cfg.HTTP == nil {
		return nil, errors.New("making TAXII client: no HTTP client")
	}
	if cfg.Stall == 0 {
		cfg.Stall = DefaultStall
	}
	start := "/taxii2/"
	if path := strings.Trim(server.EscapedPath(), "/"); path != "" {
		start = "/" + path + "/"
	}
	plain := *cfg.HTTP
	plain.CheckRedirect = overTheSlash
	return &Client{server: server, start: start, stall: cfg.Stall, retry: newRetry(&plain, cfg.Logger)}, nil
}

// small reads an answer that is not a page.
func (c *Client) small(ctx context.Context, path string, v any) error {
	a, err := c.get(ctx, path, nil)
	if err != nil {
		return err
	}
	defer a.stop()
	if err := decodeSmall(a.body, v); err != nil {
		return fmt.Errorf("%w: %s", ErrNotTAXII, brief(err.Error()))
	}
	return nil
}

// answer is what a server answers, on its way. It must be stopped.
type answer struct {
	header http.Header
	body   io.Reader
	stop   func()
	// empty: it has no body at all.
	empty bool
}

// request is one to a server: a GET, or a POST of a body that may be repeated.
type request struct {
	method, path string
	query        url.Values
	body         []byte
}

// get makes a request whose answer is TAXII with status 200. Each piece of the
// body must come within the stall time.
func (c *Client) get(ctx context.Context, path string, query url.Values) (*answer, error) {
	return c.do(ctx, request{method: http.MethodGet, path: path, query: query})
}

// do makes a request, with the slash at the end or without, as the server wants it.
func (c *Client) do(ctx context.Context, r request) (*answer, error) {
	bare := strings.TrimSuffix(r.path, "/")
	if c.quirks.slashless.Load() && bare != "" {
		r.path = bare
	}
	a, err := c.once(ctx, r)
	// Only the small resources tell that a server knows no slashes: of a collection that
	// is gone a 404 is the truth, and need not be asked twice.
	if !isStatus(err, http.StatusNotFound) || r.query != nil || r.path == bare || bare == "" {
		return a, err
	}
	r.path = bare
	if b, again := c.once(ctx, r); again == nil {
		c.quirks.slashless.Store(true)
		return b, nil
	}
	return nil, err
}

// once makes a request, and again only what passes in moments.
func (c *Client) once(ctx context.Context, r request) (*answer, error) {
	target, err := c.target(r)
	if err != nil {
		return nil, err
	}
	ctx, w := watch(ctx, c.stall)
	req, err := newRequest(ctx, r, target.String())
	if err != nil {
		w.stop()
		return nil, fmt.Errorf("making request: %w", err)
	}
	resp, err := c.retry.Do(req)
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close() // nobody reads it
		}
		w.stop()
		return nil, w.cause(ctx, err)
	}
	stop := func() {
		_ = resp.Body.Close() // it was only read
		w.stop()
	}
	body := w.body(ctx, resp.Body)
	if err := checkAnswer(resp, body); err != nil {
		stop()
		return nil, err
	}
	return &answer{header: resp.Header, body: body, stop: stop, empty: resp.StatusCode == http.StatusNoContent || resp.ContentLength == 0}, nil
}

// target is the URL of a request. Only its path comes of the server's words: a path that
// begins with two slashes would name another host if it were resolved as a reference
// (RFC 3986 section 5.2.2).
func (c *Client) target(r request) (*url.URL, error) {
	path, err := url.PathUnescape(r.path)
	if err != nil {
		return nil, fmt.Errorf("%w: the path %q is not well-formed", ErrNotTAXII, brief(r.path))
	}
	u := *c.server
	u.Path, u.RawPath, u.RawQuery = path, r.path, r.query.Encode()
	return &u, nil
}

func newRequest(ctx context.Context, r request, target string) (*retryablehttp.Request, error) {
	var body any
	if r.body != nil {
		body = r.body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", MediaType)
	req.Header.Set("User-Agent", userAgent)
	if body != nil {
		req.Header.Set("Content-Type", MediaType)
	}
	return req, nil
}
