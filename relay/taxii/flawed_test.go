// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// flawed is another maker's server with records urlObject(0..n-1), one each
// millisecond. Its mistakes are set by a test.
type flawed struct {
	n int
	// alike is the number of records that share a date.
	alike int
	// page is the largest page; 3 unless set.
	page int
	// cursor gives "next"; without it clients go on by date.
	cursor bool
	// header writes the header of dates; nil leaves it out.
	header func(time.Time) string
	// manifest: there is one.
	manifest bool
	// contentType of all answers; MediaType unless set.
	contentType string
	// refuses are parameters that are answered with 400.
	refuses []string
	// objects answers instead, if it is set.
	objects http.HandlerFunc
	// bare has paths without a slash at the end, and 404 for those with one.
	bare bool
	asks atomic.Int64
}

func (f *flawed) date(i int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, (i/max(f.alike, 1)+1)*int(time.Millisecond), time.UTC)
}

func (f *flawed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asks.Add(1)
	contentType := f.contentType
	if contentType == "" {
		contentType = MediaType
	}
	w.Header().Set("Content-Type", contentType)
	path := r.URL.Path
	if f.bare {
		if strings.HasSuffix(path, "/") {
			http.NotFound(w, r)
			return
		}
		path += "/"
	}
	switch path {
	case "/taxii2/":
		fmt.Fprint(w, `{"title":"x","api_roots":["/root"]}`)
	case "/root/":
		fmt.Fprint(w, `{"title":"x","versions":["application/taxii+json;version=2.1"],"max_content_length":1000}`)
	case "/root/collections/":
		fmt.Fprint(w, `{"collections":[{"id":"c0","title":"c1"},{"id":"c1","alias":"one","title":"The first","can_read":true}]}`)
	case "/root/collections/c1/":
		fmt.Fprint(w, `{"id":"c1","title":"The first","can_read":true}`)
	case "/root/collections/c1/objects/":
		f.list(w, r, false)
	case "/root/collections/c1/manifest/":
		if !f.manifest {
			http.NotFound(w, r)
			return
		}
		f.list(w, r, true)
	default:
		http.NotFound(w, r)
	}
}

func (f *flawed) list(w http.ResponseWriter, r *http.Request, manifest bool) {
	if f.objects != nil {
		f.objects(w, r)
		return
	}
	q := r.URL.Query()
	if slices.ContainsFunc(f.refuses, q.Has) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	from, _ := strconv.Atoi(q.Get("next"))
	if after, ok := readDate(q.Get("added_after")); ok && from == 0 {
		for from < f.n && !f.date(from).After(after) {
			from++
		}
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || f.page > 0 {
		limit = min(max(limit, 1), f.page)
	}
	to := min(from+limit, f.n)
	if f.header != nil && to > from {
		w.Header().Set("X-TAXII-Date-Added-Last", f.header(f.date(to-1)))
	}
	var objects []string
	for i := from; i < to; i++ {
		one := urlObject(i)
		if manifest {
			one = fmt.Sprintf(`{"id":"url--00000000-0000-4000-8000-%012d","date_added":%q,"version":"x"}`, i, FormatTime(f.date(i)))
		}
		objects = append(objects, one)
	}
	rest := ""
	if to < f.n {
		rest = `"more":true,`
		if f.cursor {
			rest += fmt.Sprintf(`"next":%q,`, strconv.Itoa(to))
		}
	}
	fmt.Fprintf(w, `{%s"objects":[%s]}`, rest, strings.Join(objects, ","))
}

// collect reads a collection to its end, as an import does, and returns the
// distinct objects.
func collect(t *testing.T, c *Client, name string, limit int) (objects []string, end PageQuery, err error) {
	t.Helper()
	l, err := c.Find(t.Context(), name)
	if err != nil {
		return nil, PageQuery{}, err
	}
	q, more := PageQuery{Limit: limit}, true
	var trail Trail
	for more && err == nil {
		var p *Page
		if p, err = c.Objects(t.Context(), l, q); err != nil {
			break
		}
		var got []string
		if got, err = readPage(p); err != nil {
			break
		}
		for _, o := range got {
			if !slices.Contains(objects, o) {
				objects = append(objects, o)
			}
		}
		if q, more, err = p.Behind(t.Context(), q); err == nil && more {
			err = trail.Step(q)
		}
	}
	return objects, q, err
}

func numbered(w http.ResponseWriter, r *http.Request) {
	body := `{"more":true,"next":17,"objects":[` + urlObject(0) + `]}`
	if r.URL.Query().Get("next") == "17" {
		body = `{"objects":[` + urlObject(1) + `]}`
	}
	answers(200, MediaType, body)(w, r)
}
