// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"encoding/json"
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
	// Server is scheme and host, for example "https://bravo.example". Required.
	Server string
	// Stall; zero means DefaultStall.
	Stall time.Duration
	// Logger; nil means none.
	Logger *slog.Logger
}

// Client reads from one TAXII 2.1 server. It may be used concurrently.
type Client struct {
	server *url.URL
	stall  time.Duration
	retry  *retryablehttp.Client
}

// NewClient checks the configuration. It makes no request.
func NewClient(cfg ClientConfig) (*Client, error) {
	server, err := url.Parse(cfg.Server)
	if err != nil || server.Host == "" {
		return nil, fmt.Errorf("reading server URL %q: it needs a scheme and a host", cfg.Server)
	}
	if cfg.HTTP == nil {
		return nil, errors.New("making TAXII client: no HTTP client")
	}
	if cfg.Stall == 0 {
		cfg.Stall = DefaultStall
	}
	plain := *cfg.HTTP
	// A redirect could lead to a place that this connection does not authenticate.
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{server: server, stall: cfg.Stall, retry: newRetry(&plain, cfg.Logger)}, nil
}

// Location is a collection and where it is.
type Location struct {
	Collection
	// Objects is the path of its objects, with a slash at the end.
	Objects string
}

// Find looks for a collection by id or alias in all API roots. ErrNoCollection
// if there is none.
func (c *Client) Find(ctx context.Context, idOrAlias string) (Location, error) {
	var d Discovery
	if err := c.small(ctx, "/taxii2/", &d); err != nil {
		return Location{}, fmt.Errorf("reading discovery: %w", err)
	}
	roots := d.APIRoots[:min(len(d.APIRoots), maxRoots)]
	var refused error
	for _, root := range roots {
		path, err := c.ownPath(root)
		if err != nil {
			refused = err
			continue
		}
		var list Collections
		if err := c.small(ctx, path+"collections/", &list); err != nil {
			// The other roots are looked into all the same.
			refused = fmt.Errorf("reading collections: %w", err)
			continue
		}
		for _, col := range list.Collections {
			if idOrAlias == "" || col.ID != idOrAlias && col.Alias != idOrAlias {
				continue
			}
			return Location{Collection: col, Objects: path + "collections/" + url.PathEscape(col.ID) + "/objects/"}, nil
		}
	}
	if refused != nil {
		return Location{}, refused
	}
	return Location{}, ErrNoCollection
}

// ownPath is the path of an API root on the server that we are connected with;
// the URL may be relative (TAXII 2.1 section 4.1.1).
func (c *Client) ownPath(root string) (string, error) {
	u, err := c.server.Parse(root)
	if err != nil {
		return "", fmt.Errorf("%w: API root %q is no URL", ErrNotTAXII, brief(root))
	}
	if !strings.EqualFold(u.Host, c.server.Host) {
		return "", fmt.Errorf("%w: API root %q is on another server, and is not followed", ErrNotTAXII, brief(root))
	}
	return strings.TrimSuffix(u.EscapedPath(), "/") + "/", nil
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
}

// get makes a request whose answer is TAXII with status 200. Each piece of the
// body must come within the stall time.
func (c *Client) get(ctx context.Context, path string, query url.Values) (*answer, error) {
	target, err := c.server.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("making URL: %w", err)
	}
	target.RawQuery = query.Encode()
	ctx, w := watch(ctx, c.stall)
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		w.stop()
		return nil, fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("Accept", MediaType)
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
	return &answer{header: resp.Header, body: body, stop: stop}, nil
}

// checkAnswer makes an error of every answer that is not 200 with TAXII in it.
func checkAnswer(resp *http.Response, body io.Reader) error {
	contentType := resp.Header.Get("Content-Type")
	isTAXII := strings.HasPrefix(contentType, bareType)
	if resp.StatusCode == http.StatusOK {
		if !isTAXII {
			return fmt.Errorf("%w: its content type is %q", ErrNotTAXII, brief(contentType))
		}
		return nil
	}
	e := &ProtocolError{Title: http.StatusText(resp.StatusCode)}
	if isTAXII {
		var told ProtocolError
		text, err := io.ReadAll(io.LimitReader(body, 64<<10))
		if err == nil && json.Unmarshal(text, &told) == nil && told.Title != "" {
			e.Title, e.Description = brief(told.Title), brief(told.Description)
		}
	}
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp, time.Now())
	return e
}
