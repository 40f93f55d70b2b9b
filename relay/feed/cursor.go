// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
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
// server has more. It moves, or the walk ends: TAXII 2.1 section 3.5 has a
// server give "next" or sort by date added.
func (c cursor) behind(p *taxii.Page) (next cursor, more bool) {
	next = c
	switch {
	case p.More() && p.Next() != "":
		next.Next = p.Next()
	default:
		next.Next = ""
		if last := p.LastAdded(); last != "" {
			next.After = last
		}
	}
	return next, p.More()
}

func (c cursor) text() string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return string(b)
}
