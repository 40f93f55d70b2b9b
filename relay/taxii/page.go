// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/certlink/certlink/relay/stix"
)

// PageQuery says which page to read.
type PageQuery struct {
	// AddedAfter and Next as Behind gave them; empty at first.
	AddedAfter, Next string
	// Limit is the largest number of objects that the server should send; zero
	// leaves it to the server.
	Limit int
}

// Page is a page on its way. It must be closed.
type Page struct {
	client   *Client
	location Location
	reader   *stix.Reader
	header   http.Header
	stop     func()
	// objects counts those read, refused ones too; last is the last that was not.
	objects int
	last    stix.Object
}

// quirks are mistakes of a server that the Client has met.
type quirks struct {
	// slashless: paths end without a slash.
	slashless atomic.Bool
	// filters is how many of the match filters, from the end, the server does not take.
	filters atomic.Int32
}

// wholeCollection asks for all versions of all objects: without these a server sends
// the last version, and the newest spec version, alone.
var wholeCollection = []struct{ name, value string }{
	{"match[version]", "all"},
	{"match[spec_version]", stix.Spec20 + "," + stix.Spec21},
}

// Objects asks for a page of all versions of a collection's objects. A server that
// refuses a filter is asked without it. A collection that is there and whose objects
// are not (404, 416) is an empty one.
func (c *Client) Objects(ctx context.Context, l Location, q PageQuery) (*Page, error) {
	without := int(c.quirks.filters.Load())
	first := error(nil)
	for {
		a, err := c.get(ctx, l.Objects, q.values(without))
		switch {
		case err == nil:
			c.quirks.filters.Store(int32(without))
			return c.page(l, a), nil
		case isStatus(err, http.StatusRequestedRangeNotSatisfiable), isStatus(err, http.StatusNotFound) && c.stands(ctx, l):
			return c.page(l, &answer{header: http.Header{}, stop: func() {}, empty: true}), nil
		case first == nil:
			first = err
		}
		if !isStatus(err, http.StatusBadRequest) || without == len(wholeCollection) {
			return nil, first
		}
		without++
	}
}

// values are the parameters of a page, but for some of the match filters.
func (q PageQuery) values(without int) url.Values {
	v := url.Values{}
	for _, filter := range wholeCollection[:len(wholeCollection)-without] {
		v.Set(filter.name, filter.value)
	}
	if q.AddedAfter != "" {
		v.Set("added_after", q.AddedAfter)
	}
	if q.Next != "" {
		v.Set("next", q.Next)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// stands tells whether a collection is still there.
func (c *Client) stands(ctx context.Context, l Location) bool {
	var col Collection
	return l.ID != "" && c.small(ctx, l.path(), &col) == nil && col.ID == l.ID
}

func (c *Client) page(l Location, a *answer) *Page {
	body := a.body
	if a.empty {
		body = strings.NewReader("{}")
	}
	return &Page{client: c, location: l, reader: stix.NewReader(body), header: a.header, stop: a.stop}
}

// Read returns the next object, as stix.Reader does.
func (p *Page) Read() (stix.Object, error) {
	o, err := p.reader.Read()
	switch {
	case err == nil:
		p.objects++
		p.last = o
		p.last.Raw, p.last.Markings = nil, nil
	case err != io.EOF: //nolint:errorlint // a Reader returns it bare
		p.objects++
	}
	return o, err
}

// More and Next say how the collection goes on; complete after Read's io.EOF.
func (p *Page) More() bool { return p.reader.More() }

// Next is the cursor of the next page; see More.
func (p *Page) Next() string { return p.reader.Next() }

// LastAdded is when the last record of the page was added, as the server says it in
// whatever form, in that of TAXII; empty if it does not say it as a time.
func (p *Page) LastAdded() string {
	last, ok := readDate(p.header.Get("X-TAXII-Date-Added-Last"))
	if !ok {
		return ""
	}
	return FormatTime(last)
}

// Close ends the page, read to its end or not.
func (p *Page) Close() { p.stop() }
