// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/store"
)

func FuzzQuery(f *testing.F) {
	f.Add("match[version]=first,2026-01-01T00:00:00Z&match[spec_version]=2.1&limit=1&added_after=2026-01-01T00:00:00Z")
	f.Add("match[id]=" + toolID + "&match[type]=tool&next=AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		for s := range filters {
			q, err := parseQuery(values, s, readID, nil)
			if err == nil && (q.Limit < 1 || q.Limit > MaxLimit || max(len(q.IDs), len(q.Types), len(q.Specs), len(q.Versions.At)) > store.MaxSelectors) {
				t.Errorf("%q is %+v", text, q)
			}
		}
	})
}

// sparse has one record far behind many that no query selects.
type sparse struct {
	fake
	reads int
}

const farBehind = 3 * maxReads / 2

func (s *sparse) Objects(_ context.Context, _ string, q store.Query) (store.Page, error) {
	s.reads++
	if q.After < farBehind {
		return store.Page{Next: q.After + 1}, nil
	}
	return store.Page{Records: s.records}, nil
}

func TestAPageEndsThoughNothingWasFound(t *testing.T) {
	s := &sparse{}
	s.fill(t, 1)
	h := NewHandler(Options{Root: "feeds", Title: "alfa", Backend: s})
	if body := text(t, do(t, h, "GET", inBoth+"objects/?match[type]=url", "")); !strings.HasPrefix(body, `{"more":true,"next":"`) || strings.Contains(body, "objects") || s.reads != maxReads {
		t.Errorf("after %d reads: %s", s.reads, body)
	}
	if got, pages := walk(t, h, "match[type]=url"); pages != 2 || !cmp.Equal(got, []string{urlObject(0)}) {
		t.Errorf("%d pages with %v", pages, got)
	}
}
