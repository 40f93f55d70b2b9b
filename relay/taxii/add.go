// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Add puts objects, whole JSON objects each, into a collection (TAXII 2.1 section
// 5.5). The answer may be pending: Status tells the end. Repeating is safe, as servers
// take the same version of an object as one. How much fits into a request the server
// says in its API root; more is an error with status 413.
func (c *Client) Add(ctx context.Context, l Location, objects [][]byte) (Status, error) {
	body := append([]byte(`{"objects":[`), bytes.Join(objects, []byte(","))...)
	a, err := c.do(ctx, request{method: http.MethodPost, path: l.Objects, query: url.Values{}, body: append(body, "]}"...)})
	if err != nil {
		return Status{}, err
	}
	return readStatus(a)
}

// Status asks what became of what was added (TAXII 2.1 section 4.3). An error with
// status 404 says that the server has forgotten it: then add again.
func (c *Client) Status(ctx context.Context, l Location, id string) (Status, error) {
	a, err := c.get(ctx, l.root()+"status/"+url.PathEscape(id)+"/", url.Values{})
	if err != nil {
		return Status{}, err
	}
	return readStatus(a)
}

// Root asks what the API root of a collection says of itself (TAXII 2.1 section 4.2).
func (c *Client) Root(ctx context.Context, l Location) (APIRoot, error) {
	var r APIRoot
	return r, c.small(ctx, l.root(), &r)
}

func readStatus(a *answer) (Status, error) {
	defer a.stop()
	var s Status
	if err := decodeSmall(a.body, &s); err != nil {
		return Status{}, fmt.Errorf("%w: %s", ErrNotTAXII, brief(err.Error()))
	}
	if s.Status != Complete && s.Status != Pending {
		return Status{}, fmt.Errorf("%w: a status says neither complete nor pending", ErrNotTAXII)
	}
	return s, nil
}
