// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxAnswer is the largest JSON answer that is read: a page of messages with
// their longest texts stays below it.
const maxAnswer = 64 << 20

// DialFunc connects to the relay's local port.
type DialFunc func(ctx context.Context) (net.Conn, error)

// Client talks to the local port of one relay. It may be used concurrently.
type Client struct {
	http *http.Client
}

// New returns a client; it connects when it is first used.
func New(credentials Credentials, dial DialFunc) *Client {
	return &Client{http: &http.Client{
		Transport: &http.Transport{
			DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			TLSClientConfig:       credentials.TLS(),
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: time.Minute,
			MaxIdleConnsPerHost:   2,
			IdleConnTimeout:       time.Minute,
		},
		// The local port never redirects.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// HTTP returns the HTTP client beneath. Requests go to the relay, whatever the
// host in their URL; its scheme must be https.
func (c *Client) HTTP() *http.Client { return c.http }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is an answer of the relay that says no.
type Error struct {
	// Status is the HTTP status code.
	Status int
	// Title and Detail are the relay's words.
	Title, Detail string
}

// Error is one line.
func (e *Error) Error() string {
	switch {
	case e.Detail != "":
		return fmt.Sprintf("the relay answered %d: %s: %s", e.Status, e.Title, e.Detail)
	case e.Title != "":
		return fmt.Sprintf("the relay answered %d: %s", e.Status, e.Title)
	}
	return fmt.Sprintf("the relay answered %d %s", e.Status, http.StatusText(e.Status))
}

// IsStatus tells whether err is an answer of the relay with this status code.
func IsStatus(err error, status int) bool {
	var answer *Error
	return errors.As(err, &answer) && answer.Status == status
}

// address of a path on the local port. The host is only a name for the URL.
func address(path string, query url.Values) string {
	u := url.URL{Scheme: "https", Host: "relay", RawQuery: query.Encode()}
	return u.JoinPath(path).String()
}

// call sends a JSON request (nil: none) and reads a JSON answer into answer.
func (c *Client) call(ctx context.Context, method, url string, request, answer any) error {
	var body io.Reader
	if request != nil {
		content, err := json.Marshal(request)
		if err != nil {
			return fmt.Errorf("writing the request: %w", err)
		}
		body = bytes.NewReader(content)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return fmt.Errorf("composing the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if request != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.exchange(req, answer)
}

func (c *Client) exchange(req *http.Request, answer any) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the relay: %w", bare(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(resp)
	}
	return decode(resp.Body, answer)
}

func decode(body io.Reader, answer any) error {
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("reading the relay's answer: %w", err)
	}
	return nil
}

// bare takes away the URL, which says nothing: its host is made up.
func bare(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// refusal reads an error answer: a problem (RFC 9457) or a TAXII error, whose
// words have the names title, detail and description.
func refusal(resp *http.Response) error {
	answer := &Error{Status: resp.StatusCode}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || (kind != "application/json" && kind != "application/problem+json" && kind != "application/taxii+json") {
		return answer
	}
	var said struct {
		Title       string `json:"title"`
		Detail      string `json:"detail"`
		Description string `json:"description"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said); err != nil {
		return answer
	}
	answer.Title, answer.Detail = said.Title, said.Detail
	if answer.Detail == "" {
		answer.Detail = said.Description
	}
	return answer
}
