// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// MediaType is that of TAXII 2.1 (section 1.6.8.1).
const MediaType = "application/taxii+json;version=2.1"

// rootPath is the API root of the local port: sources to push into, imports to read.
const rootPath = "/taxii2/local/"

// Root is what we use of an API root (TAXII 2.1 section 4.2).
type Root struct {
	Title string `json:"title"`
	// MaxContentLength is the largest body of a POST, in bytes.
	MaxContentLength int64 `json:"max_content_length"`
}

// Collection is a TAXII collection (TAXII 2.1 section 5.2).
type Collection struct {
	ID          string `json:"id"`
	Alias       string `json:"alias,omitempty"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	CanRead     bool   `json:"can_read"`
	CanWrite    bool   `json:"can_write"`
}

// Status is that of a push (TAXII 2.1 section 4.3.1).
type Status struct {
	ID           string         `json:"id"`
	Status       string         `json:"status"`
	TotalCount   int            `json:"total_count"`
	SuccessCount int            `json:"success_count"`
	FailureCount int            `json:"failure_count"`
	PendingCount int            `json:"pending_count"`
	Failures     []StatusDetail `json:"failures,omitempty"`
}

// StatusDetail is about one object of a push.
type StatusDetail struct {
	ID      string `json:"id"`
	Version string `json:"version,omitempty"`
	Message string `json:"message,omitempty"`
}

// Complete tells whether every object of the push has found its end.
func (s Status) Complete() bool { return s.Status == "complete" }

// Root returns the local API root.
func (c *Client) Root(ctx context.Context) (Root, error) {
	var root Root
	if _, err := c.taxii(ctx, http.MethodGet, address(rootPath, nil), nil, &root); err != nil {
		return Root{}, fmt.Errorf("reading the local API root: %w", err)
	}
	return root, nil
}

// Collections returns the local collections.
func (c *Client) Collections(ctx context.Context) ([]Collection, error) {
	var answer struct {
		Collections []Collection `json:"collections"`
	}
	if _, err := c.taxii(ctx, http.MethodGet, address(rootPath+"collections/", nil), nil, &answer); err != nil {
		return nil, fmt.Errorf("listing the local collections: %w", err)
	}
	return answer.Collections, nil
}

func objectsPath(collection string) string {
	return rootPath + "collections/" + url.PathEscape(collection) + "/objects/"
}

// Push posts objects, each in JSON, to a collection. The answer is complete, or
// PushStatus tells later. The objects are sent byte for byte.
func (c *Client) Push(ctx context.Context, collection string, objects []json.RawMessage) (Status, error) {
	var status Status
	if _, err := c.taxii(ctx, http.MethodPost, address(objectsPath(collection), nil), envelope(objects), &status); err != nil {
		return Status{}, fmt.Errorf("pushing %d objects into collection %q: %w", len(objects), collection, err)
	}
	return status, nil
}

// EnvelopeOverhead is what an envelope needs beside its objects and one byte
// between each two.
const EnvelopeOverhead = len(`{"objects":[]}`)

func envelope(objects []json.RawMessage) []byte {
	size := EnvelopeOverhead
	for _, object := range objects {
		size += len(object) + 1
	}
	body := make([]byte, 0, size)
	body = append(body, `{"objects":[`...)
	for i, object := range objects {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, object...)
	}
	return append(body, "]}"...)
}

// PushStatus returns how far a push is.
func (c *Client) PushStatus(ctx context.Context, id string) (Status, error) {
	var status Status
	if _, err := c.taxii(ctx, http.MethodGet, address(rootPath+"status/"+url.PathEscape(id)+"/", nil), nil, &status); err != nil {
		return Status{}, fmt.Errorf("reading the status of push %s: %w", id, err)
	}
	return status, nil
}

// AwaitPush returns the status of a push once it is complete.
func (c *Client) AwaitPush(ctx context.Context, status Status) (Status, error) {
	for wait := 50 * time.Millisecond; !status.Complete(); wait = min(2*wait, 2*time.Second) {
		if err := pause(ctx, wait); err != nil {
			return status, fmt.Errorf("waiting for push %s, of which %d objects are pending: %w", status.ID, status.PendingCount, err)
		}
		next, err := c.PushStatus(ctx, status.ID)
		if err != nil {
			return status, err
		}
		status = next
	}
	return status, nil
}

// Page of objects, ascending by the time they were added.
type Page struct {
	// Objects byte for byte as the relay gave them.
	Objects []json.RawMessage
	// AddedLast is X-TAXII-Date-Added-Last.
	AddedLast string
	// Next continues the list; empty at the end.
	Next string
}

// Objects returns a page of a collection's objects. next is "" for the first;
// limit zero leaves the length to the relay.
func (c *Client) Objects(ctx context.Context, collection, next string, limit int) (Page, error) {
	query := url.Values{}
	if next != "" {
		query.Set("next", next)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var answer struct {
		More    bool              `json:"more"`
		Next    string            `json:"next"`
		Objects []json.RawMessage `json:"objects"`
	}
	header, err := c.taxii(ctx, http.MethodGet, address(objectsPath(collection), query), nil, &answer)
	if err != nil {
		return Page{}, fmt.Errorf("reading collection %q: %w", collection, err)
	}
	page := Page{Objects: answer.Objects, AddedLast: header.Get("X-TAXII-Date-Added-Last")}
	if answer.More {
		if answer.Next == "" || answer.Next == next {
			return Page{}, fmt.Errorf("reading collection %q: %w", collection, errors.New("the relay announces more objects but does not say where they begin"))
		}
		page.Next = answer.Next
	}
	return page, nil
}

func (c *Client) taxii(ctx context.Context, method, target string, body []byte, answer any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("composing the request: %w", err)
	}
	req.Header.Set("Accept", MediaType)
	if body != nil {
		req.Header.Set("Content-Type", MediaType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the relay: %w", bare(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, refusal(resp)
	}
	return resp.Header, decode(resp.Body, answer)
}
