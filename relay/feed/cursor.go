// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"encoding/json"

	"github.com/certlink/certlink/relay/taxii"
)

// cursor says how far an import has come. It is stored with the objects before it.
type cursor struct {
	// Peer and Collection say whose cursor it is: an import that is turned to
	// another collection begins again.
	Peer       string `json:"peer"`
	Collection string `json:"collection"`
	// After is the date added of the last record of the last walk that came to its
	// end; Next continues the walk that did not. Both are the server's words.
	After string `json:"after,omitempty"`
	Next  string `json:"next,omitempty"`
	// Limit is that of the next page, if it is not the usual one.
	Limit int `json:"limit,omitempty"`
}

// query asks for the page at the cursor.
func (c cursor) query() taxii.PageQuery {
	limit := c.Limit
	if limit == 0 {
		limit = pageObjects
	}
	return taxii.PageQuery{AddedAfter: c.After, Next: c.Next, Limit: limit}
}

// startAt reads a stored cursor. One that is not of this collection is a new one.
func startAt(stored, peer, collection string) cursor {
	var c cursor
	if json.Unmarshal([]byte(stored), &c) != nil || c.Peer != peer || c.Collection != collection {
		return cursor{Peer: peer, Collection: collection}
	}
	return c
}

// behind is the cursor behind a page that was read to its end, and whether the
// server has more.
func (c cursor) behind(ctx context.Context, p *taxii.Page) (next cursor, more bool, err error) {
	q, more, err := p.Behind(ctx, c.query())
	if err != nil {
		return c, false, err
	}
	next = c
	next.After, next.Next, next.Limit = q.AddedAfter, q.Next, 0
	if more && q.Limit != pageObjects {
		next.Limit = q.Limit
	}
	return next, more, nil
}

func (c cursor) text() string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return string(b)
}
