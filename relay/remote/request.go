// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/go-retryablehttp"
)

// Request is one call. Path, Query and MaxBytes are all that a plain GET needs.
type Request struct {
	// Method; empty means GET.
	Method string
	// Path below the configured URL: empty means the URL itself with its query; one
	// with a slash at the beginning starts at the root of the server; any other is
	// appended to the URL's path as to a directory. Escaped as in a URL, without "..".
	Path string
	// Query; nil means none, or that of the configured URL if Path is empty.
	Query url.Values
	// Header are further headers. Authorization and User-Agent are set for you.
	Header http.Header
	// Body; nil means none. It is kept until Do returns.
	Body []byte
	// Idempotent says that repeating does no harm though the method is POST, for
	// example because of an idempotency key. GET, HEAD, PUT and DELETE always are.
	Idempotent bool
	// MaxBytes of the answer after decompression. Required.
	MaxBytes int64
}

// Response is an answer with status 2xx, or 304 if the request was conditional. Its
// Body must be closed.
type Response struct {
	Status int
	Header http.Header
	// Body is decompressed. Reading fails with ErrTooLong, ErrStalled, ErrBomb, or
	// io.ErrUnexpectedEOF where it was cut.
	Body io.ReadCloser
	// Total is how many bytes come over the wire, -1 if the server does not say.
	Total int64

	meter *meter
}

// NotModified tells that nothing has changed since the ETag or date of the request.
func (r *Response) NotModified() bool { return r.Status == http.StatusNotModified }

// Received is how many bytes have come over the wire so far, at most Total. It may
// be called while another goroutine reads.
func (r *Response) Received() int64 { return r.meter.received.Load() }

// Validators say what is known already, as the server put it. Empty ones are not sent.
type Validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
}

// ValidatorsOf are those of an answer, for the next Get. Overlong ones are left out.
func ValidatorsOf(r *Response) Validators {
	short := func(s string) string {
		if len(s) > maxValidator {
			return ""
		}
		return s
	}
	return Validators{ETag: short(r.Header.Get("ETag")), LastModified: short(r.Header.Get("Last-Modified"))}
}

const maxValidator = 1024

// Get asks for a path (see Request.Path). With validators of an earlier answer,
// Response.NotModified may come back, with an empty body.
func (c *Client) Get(ctx context.Context, path string, maxBytes int64, known Validators) (*Response, error) {
	h := http.Header{}
	if known.ETag != "" {
		h.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		h.Set("If-Modified-Since", known.LastModified)
	}
	return c.Do(ctx, Request{Path: path, Header: h, MaxBytes: maxBytes})
}

// Do makes a request. Any answer but 2xx, and 304 where it was asked for, is a
// StatusError; every other error is an *Error. The context bounds the reading of the
// body too.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.MaxBytes <= 0 {
		return nil, c.fail(r.Method, errors.New("the request sets no bound on the answer"))
	}
	target, err := c.resolve(r)
	if err != nil {
		return nil, c.fail(r.Method, err)
	}
	m := &meter{limit: r.MaxBytes}
	ctx = context.WithValue(ctx, callKey{}, &call{meter: m, idempotent: r.Idempotent || slices.Contains(repeatable, r.Method)})
	var content any // a nil slice would be a body of no bytes
	if r.Body != nil {
		content = r.Body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.Method, target.String(), content)
	if err != nil {
		return nil, c.fail(r.Method, Clean(err))
	}
	maps.Copy(req.Header, r.Header)
	resp, err := c.retry.Do(req)
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close() // nobody reads it
		}
		return nil, c.fail(r.Method, Clean(err))
	}
	conditional := req.Header.Get("If-None-Match") != "" || req.Header.Get("If-Modified-Since") != ""
	if resp.StatusCode/100 != 2 && (!conditional || resp.StatusCode != http.StatusNotModified) {
		_ = resp.Body.Close() // what it says is not repeated
		return nil, &StatusError{Method: r.Method, Host: c.base.Host, Status: resp.StatusCode, RetryAfter: retryAfter(resp)}
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: c.named(r.Method, resp.Body), Total: m.total, meter: m}, nil
}

var repeatable = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions}

func (c *Client) fail(method string, err error) error {
	return &Error{Method: method, Host: c.base.Host, Err: err}
}

// resolve makes the URL of a request. It is on the server whatever Path is.
func (c *Client) resolve(r Request) (*url.URL, error) {
	u := *c.base
	if r.Path != "" {
		for part := range strings.SplitSeq(r.Path, "/") {
			if part == ".." || part == "." {
				return nil, errors.New("the path leads upwards")
			}
		}
		path, err := url.PathUnescape(r.Path)
		if err != nil || strings.ContainsFunc(path, func(c rune) bool { return c < ' ' }) {
			return nil, errors.New("the path is not well-formed")
		}
		raw := r.Path
		if !strings.HasPrefix(path, "/") {
			dir := strings.TrimSuffix(c.base.Path, "/") + "/"
			raw = strings.TrimSuffix(c.base.EscapedPath(), "/") + "/" + raw
			path = dir + path
		}
		u.Path, u.RawPath, u.RawQuery = path, raw, ""
	}
	if r.Query != nil {
		u.RawQuery = r.Query.Encode()
	}
	return &u, nil
}

// named puts the host into errors of reading.
func (c *Client) named(method string, body io.ReadCloser) io.ReadCloser {
	return &namedBody{ReadCloser: body, fail: func(err error) error { return c.fail(method, err) }}
}

type namedBody struct {
	io.ReadCloser
	fail func(error) error
}

// Read implements io.Reader.
func (b *namedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.fail(err)
	}
	return n, err
}

// ReadAll reads an answer to its end and closes it.
func ReadAll(r *Response) ([]byte, error) {
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return text, nil
}
