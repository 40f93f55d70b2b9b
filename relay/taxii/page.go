// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/certlink/certlink/relay/stix"
)

// PageQuery says which page to read.
type PageQuery struct {
	// AddedAfter and Next as the server gave them; empty at first.
	AddedAfter, Next string
	// Limit is the largest number of objects that the server should send; zero
	// leaves it to the server.
	Limit int
}

// Page is a page on its way. It must be closed.
type Page struct {
	reader *stix.Reader
	header http.Header
	stop   func()
}

// Objects asks for a page of all versions of a collection's objects.
func (c *Client) Objects(ctx context.Context, l Location, q PageQuery) (*Page, error) {
	// Without these a server sends the last version, and the newest spec version, alone.
	query := url.Values{"match[version]": {"all"}, "match[spec_version]": {stix.Spec20 + "," + stix.Spec21}}
	if q.AddedAfter != "" {
		query.Set("added_after", q.AddedAfter)
	}
	if q.Next != "" {
		query.Set("next", q.Next)
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	a, err := c.get(ctx, l.Objects, query)
	if err != nil {
		return nil, err
	}
	return &Page{reader: stix.NewReader(a.body), header: a.header, stop: a.stop}, nil
}

// Read returns the next object, as stix.Reader does.
func (p *Page) Read() (stix.Object, error) { return p.reader.Read() }

// More and Next say how the collection goes on; complete after Read's io.EOF.
func (p *Page) More() bool { return p.reader.More() }

// Next is the cursor of the next page; see More.
func (p *Page) Next() string { return p.reader.Next() }

// LastAdded is when the last record of the page was added, as the server says;
// empty if it does not say it as a time.
func (p *Page) LastAdded() string {
	last := p.header.Get("X-TAXII-Date-Added-Last")
	if _, err := parseAddedAfter(last); err != nil {
		return ""
	}
	return last
}

// Close ends the page, read to its end or not.
func (p *Page) Close() { p.stop() }
