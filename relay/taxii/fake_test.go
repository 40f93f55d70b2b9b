// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	readID  = "11111111-1111-4111-8111-111111111111"
	writeID = "22222222-2222-4222-8222-222222222222"
	bothID  = "33333333-3333-4333-8333-333333333333"
)

type callerKey struct{}

// fake is a Backend in memory; its caller is in the context.
type fake struct {
	mu      sync.Mutex
	records []store.Record
	fail    error
	// block, if set, holds Objects until it is closed.
	block   chan struct{}
	entered chan struct{}
}

func (f *fake) Caller(ctx context.Context) (string, error) {
	switch name, _ := ctx.Value(callerKey{}).(string); name {
	case "":
		return "", Unauthorized()
	case "suspended":
		return "", Forbidden("feeds are suspended")
	default:
		return name, nil
	}
}

func (f *fake) Collections(context.Context) ([]Collection, error) {
	return []Collection{
		{ID: readID, Title: "Read", Alias: "read", CanRead: true},
		{ID: writeID, Title: "Write", Alias: "write", CanWrite: true},
		{ID: bothID, Title: "Both", Alias: "both", CanRead: true, CanWrite: true, MediaTypes: []string{MediaTypeSTIX}},
	}, nil
}

func (f *fake) Collection(ctx context.Context, idOrAlias string) (Collection, error) {
	all, err := f.Collections(ctx)
	for _, c := range all {
		if c.ID == idOrAlias || c.Alias == idOrAlias {
			return c, err
		}
	}
	return Collection{}, NotFound()
}

func (f *fake) Objects(_ context.Context, _ string, q store.Query) (store.Page, error) {
	if f.block != nil {
		f.entered <- struct{}{}
		<-f.block
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var p store.Page
	for _, r := range f.records {
		at := r.DateAdded.UnixMicro()
		switch {
		case at <= q.After, !q.AddedAfter.IsZero() && !r.DateAdded.After(q.AddedAfter),
			len(q.IDs) > 0 && !slices.Contains(q.IDs, r.ID), len(q.Types) > 0 && !slices.Contains(q.Types, r.Type):
			continue
		case len(p.Records) == min(q.Limit, 7): // a store may give less than was asked for
			p.Next = p.Records[len(p.Records)-1].DateAdded.UnixMicro()
			return p, f.fail
		}
		p.Records = append(p.Records, r)
	}
	return p, f.fail
}

func (f *fake) Add(_ context.Context, _ string, objects []stix.Object) ([]store.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	var outcomes []store.Outcome
	for _, o := range objects {
		outcome := store.Added
		for _, r := range f.records {
			if r.ID == o.ID && r.Version.Equal(o.Version) {
				outcome = store.Duplicate
				if string(r.Raw) != string(o.Raw) {
					outcome = store.Forked
				}
			}
		}
		if outcome == store.Added {
			f.put(o)
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, nil
}

func (f *fake) Delete(context.Context, string, store.Query) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return 0, f.fail
}

func (f *fake) put(o stix.Object) {
	n := len(f.records) + 1
	f.records = append(f.records, store.Record{
		Object: store.Object{ID: o.ID, Type: o.Type, Version: o.Version, Raw: o.Raw},
		Seq:    int64(n), DateAdded: time.Date(2026, 1, 1, 0, 0, 0, n*1000, time.UTC),
	})
}

func urlObject(n int) string {
	return fmt.Sprintf(`{"type":"url", "id":"url--00000000-0000-4000-8000-%012d"}`, n)
}

// fill stores n objects.
func (f *fake) fill(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		o, err := stix.Parse([]byte(urlObject(i)))
		if err != nil {
			t.Fatal(err)
		}
		f.put(o)
	}
}

func newTestHandler(f Backend) http.Handler {
	return NewHandler(Options{Root: "feeds", Title: "alfa", Backend: f, Port: "link"})
}

// do makes one request as caller "bravo", unless the headers say otherwise.
func do(t *testing.T, h http.Handler, method, target, body string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Accept", MediaType)
	if body != "" {
		r.Header.Set("Content-Type", MediaType)
	}
	caller := "bravo"
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "caller":
			caller = headers[i+1]
		default:
			r.Header.Set(headers[i], headers[i+1])
			if headers[i+1] == "" {
				r.Header.Del(headers[i])
			}
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
	return w.Result()
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
