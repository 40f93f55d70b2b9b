// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// scripted is a transport that answers everything with one body.
type scripted struct{ contentType, body, last string }

func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	h := http.Header{"Content-Type": {s.contentType}}
	if s.last != "" {
		h.Set("X-TAXII-Date-Added-Last", s.last)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader(s.body)), ContentLength: -1, Request: r}, nil
}

// FuzzAnswers lets a server answer every question of the Client with the same text: it
// reads discovery, collections, pages, manifests and statuses of it, and never more
// than it should.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"title":"x","api_roots":["/a/","https://bravo.example/b"],"collections":[{"id":"c","alias":"d","title":"e","can_read":true}]}`,
		`{"more":true,"next":"n","objects":[` + urlObject(1) + `,{}]}`,
		`{"more":true,"objects":[{"id":"` + toolID + `","date_added":"2026-01-01T00:00:00.000001Z","version":"2026-01-01T00:00:00Z"}]}`,
		`{"id":"x","status":"complete","total_count":1,"success_count":1,"failure_count":0,"pending_count":0,"successes":[{"id":"a","version":"b"}]}`,
		`{"api_roots":null,"collections":null,"objects":null}`, `[]`, `{`, ``,
	} {
		f.Add(MediaType, body, "2026-01-01T00:00:00.000001Z")
	}
	f.Fuzz(func(t *testing.T, contentType, body, last string) {
		if strings.ContainsAny(contentType+last, "\r\n\x00") {
			return
		}
		c, err := NewClient(ClientConfig{HTTP: &http.Client{Transport: scripted{contentType, body, last}}, Server: "https://bravo.example"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if l, err := c.Find(ctx, "d"); err == nil && (l.Alias != "d" && l.Title != "d" && l.ID != "d" || !strings.HasSuffix(l.Objects, "/objects/")) {
			t.Errorf("found %+v", l)
		}
		if s, err := c.Status(ctx, Location{Objects: "/a/collections/c/objects/"}, "x"); err == nil && s.Status != Complete && s.Status != Pending {
			t.Errorf("status = %+v", s)
		}
		follow(ctx, t, c)
	})
}

// follow reads pages for as long as they move on.
func follow(ctx context.Context, t *testing.T, c *Client) {
	t.Helper()
	q, more := PageQuery{Limit: 2}, true
	var trail Trail
	for pages := 0; more; pages++ {
		if pages > 100 {
			t.Fatal("a server that says the same again and again leads on and on")
		}
		p, err := c.Objects(ctx, Location{Collection: Collection{ID: "c"}, Objects: "/a/collections/c/objects/"}, q)
		if err != nil {
			return
		}
		if _, err := readPage(p); err != nil {
			return
		}
		if q, more, err = p.Behind(ctx, q); err != nil || more && trail.Step(q) != nil {
			return
		}
		if _, err := parseAddedAfter(q.AddedAfter); q.AddedAfter != "" && err != nil {
			t.Errorf("it would go on at %+v", q)
		}
	}
}

func FuzzAccept(f *testing.F) {
	for _, text := range []string{MediaType, "*/*", "application/taxii+json;q=0", "a/b;q=x, ,", "application/taxii+json;version=2.0;q=0.5,*/*;q=0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		accepts(http.Header{"Accept": {text}})
		carriesTAXII(text)
		if readable(text) && text != "" && !strings.Contains(text, "/") {
			t.Errorf("%q is readable", text)
		}
	})
}
