// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/store"
)

// everyTarget are all resources of one collection, and those above it.
func everyTarget(collection string) []string {
	in := "/taxii2/feeds/collections/" + collection + "/"
	return []string{
		"/taxii2/", "/taxii2/feeds/", "/taxii2/feeds/collections/", in, in + "manifest/", in + "objects/",
		in + "objects/" + toolID + "/", in + "objects/" + toolID + "/versions/",
	}
}

func TestMethods(t *testing.T) {
	h := conforming(t)
	for _, target := range everyTarget("both") {
		t.Run("3.1_HEAD_is_GET_without_body", func(t *testing.T) {
			get, head := do(t, h, "GET", target, ""), do(t, h, "HEAD", target, "")
			if diff := cmp.Diff(get.Header, head.Header); diff != "" || head.StatusCode != http.StatusOK || get.StatusCode != http.StatusOK {
				t.Errorf("%s: %d, %d, headers (-GET +HEAD):\n%s", target, get.StatusCode, head.StatusCode, diff)
			}
			if body := text(t, head); body != "" {
				t.Errorf("%s: body = %s", target, body)
			}
		})
		t.Run("8.2.1_OPTIONS_names_the_methods", func(t *testing.T) {
			resp := do(t, h, "OPTIONS", target, "", "Accept", "")
			if allow := resp.Header.Get("Allow"); resp.StatusCode != http.StatusOK || !strings.Contains(allow, "GET, HEAD, OPTIONS") || text(t, resp) != "" {
				t.Errorf("%s: %d, %s", target, resp.StatusCode, allow)
			}
		})
		t.Run("3.6_what_is_not_allowed_is_told_in_an_error_object", func(t *testing.T) {
			for _, method := range []string{"PUT", "PATCH", "TRACE", "BREW"} {
				resp := do(t, h, method, target, "")
				var e ProtocolError
				if err := json.Unmarshal([]byte(text(t, resp)), &e); err != nil || resp.StatusCode != http.StatusMethodNotAllowed || e.HTTPStatus != "405" || resp.Header.Get("Content-Type") != MediaType {
					t.Errorf("%s %s: %d %+v, %v", method, target, resp.StatusCode, e, err)
				}
			}
		})
	}
	t.Run("3.1_HEAD_of_an_error_has_no_body", func(t *testing.T) {
		if resp := do(t, h, "HEAD", "/taxii2/nothing/", ""); resp.StatusCode != http.StatusNotFound || text(t, resp) != "" {
			t.Errorf("status = %d", resp.StatusCode)
		}
	})
}

// closed has one more collection, with which its caller may do nothing.
type closed struct{ *onDisk }

func (c closed) Collections(ctx context.Context) ([]Collection, error) {
	all, err := c.onDisk.Collections(ctx)
	return append([]Collection{{ID: noneID, Alias: "closed", Title: "Closed"}}, all...), err
}

func (c closed) Collection(ctx context.Context, idOrAlias string) (Collection, error) {
	if idOrAlias == "closed" {
		return Collection{ID: noneID, Alias: "closed"}, nil
	}
	return c.onDisk.Collection(ctx, idOrAlias)
}

func TestWhatOneMayNotSeeIsNotThere(t *testing.T) {
	h := NewHandler(Options{Root: "feeds", Title: "alfa", Backend: closed{&onDisk{}}, Port: "local"})
	in := "/taxii2/feeds/collections/closed/"
	for name, tt := range map[string]struct{ method, target string }{
		"5.2_a_collection":            {"GET", in},
		"5.3_a_manifest":              {"GET", in + "manifest/"},
		"5.4_objects":                 {"GET", in + "objects/"},
		"5.5_a_place_for_objects":     {"POST", in + "objects/"},
		"5.6_an_object":               {"GET", in + "objects/" + toolID + "/"},
		"5.7_an_object_to_delete":     {"DELETE", in + "objects/" + toolID + "/"},
		"5.8_versions_that_one_lacks": {"GET", in + "objects/" + toolID + "/versions/"},
	} {
		t.Run(name, func(t *testing.T) {
			there, never := do(t, h, tt.method, tt.target, "{}"), do(t, h, tt.method, strings.Replace(tt.target, "closed", "never", 1), "{}")
			if there.StatusCode != http.StatusNotFound || text(t, there) != text(t, never) {
				t.Errorf("%d, and %d for one that is not there", there.StatusCode, never.StatusCode)
			}
		})
	}
	t.Run("5.1_the_list_leaves_it_out", func(t *testing.T) {
		if body := text(t, do(t, h, "GET", "/taxii2/feeds/collections/", "")); strings.Contains(body, noneID) || !strings.Contains(body, readID) {
			t.Errorf("collections = %s", body)
		}
	})
	t.Run("1.6.9_nobody_is_told_the_same_of_all", func(t *testing.T) {
		for _, target := range append(everyTarget("both"), "/taxii2/never/") {
			resp := do(t, h, "GET", target, "", "caller", "")
			if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" || !strings.Contains(text(t, resp), "Not authenticated") {
				t.Errorf("%s: %d", target, resp.StatusCode)
			}
		}
	})
}

// TestPaging reads while the collection and the server change.
func TestPaging(t *testing.T) {
	f := &fake{}
	f.fill(t, 9)
	first := func(t *testing.T) string {
		t.Helper()
		var page struct{ Next string }
		if err := json.Unmarshal([]byte(text(t, do(t, newTestHandler(f), "GET", inBoth+"objects/?limit=3", ""))), &page); err != nil {
			t.Fatal(err)
		}
		return page.Next
	}
	t.Run("3.5_a_cursor_outlives_the_server", func(t *testing.T) {
		body := text(t, do(t, newTestHandler(f), "GET", inBoth+"objects/?limit=1&next="+url.QueryEscape(first(t)), ""))
		if !strings.Contains(body, urlObject(3)) {
			t.Errorf("page = %s", body)
		}
	})
	t.Run("3.5_a_cursor_is_not_used_up", func(t *testing.T) {
		next := first(t)
		h := newTestHandler(f)
		if one, two := text(t, do(t, h, "GET", inBoth+"objects/?next="+next, "")), text(t, do(t, h, "GET", inBoth+"objects/?next="+next, "")); one != two {
			t.Errorf("%s, then %s", one, two)
		}
	})
	t.Run("3.5_more_without_anything_behind_it_when_all_is_deleted", func(t *testing.T) {
		next := first(t)
		kept := f.records
		defer func() { f.records = kept }()
		f.records = kept[:3]
		if body := text(t, do(t, newTestHandler(f), "GET", inBoth+"objects/?next="+next, "")); body != "{}" {
			t.Errorf("page = %s", body)
		}
	})
	t.Run("3.5_without_next_by_the_last_date", func(t *testing.T) {
		resp := do(t, newTestHandler(f), "GET", inBoth+"objects/?limit=4", "")
		body := text(t, do(t, newTestHandler(f), "GET", inBoth+"objects/?limit=1&added_after="+url.QueryEscape(resp.Header.Get("X-TAXII-Date-Added-Last")), ""))
		if !strings.Contains(body, urlObject(4)) {
			t.Errorf("page = %s", body)
		}
	})
	t.Run("B_a_forged_cursor_gives_no_right", func(t *testing.T) {
		forged := encodeCursor(bothID, store.Query{NewestSpec: true, Versions: store.Versions{Last: true}}, 1<<62)
		if resp := do(t, newTestHandler(f), "GET", "/taxii2/feeds/collections/write/objects/?next="+forged, ""); resp.StatusCode != http.StatusForbidden {
			t.Errorf("status = %d", resp.StatusCode)
		}
	})
}

func TestDeletedIsGone(t *testing.T) {
	h := conforming(t)
	target := inBoth + "objects/" + toolID + "/"
	const one = "?match[version]=2026-01-02T00:00:00.000Z"
	if resp := do(t, h, "DELETE", target+one, ""); resp.StatusCode != http.StatusOK || text(t, resp) != "" || resp.Header.Get("Content-Type") != MediaType {
		t.Fatalf("status = %d", resp.StatusCode)
	}
	t.Run("5.7_the_version_is_not_found", func(t *testing.T) {
		if resp := do(t, h, "GET", target+one, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("status = %d", resp.StatusCode)
		}
	})
	t.Run("5.7_manifest_objects_and_versions_leave_it_out", func(t *testing.T) {
		if m := read(t, h, "manifest/", "match[version]=all&match[id]="+toolID).manifest; len(m) != 2 {
			t.Errorf("manifest = %+v", m)
		}
		if o := read(t, h, "objects/", "match[version]=all&match[id]="+toolID).objects; len(o) != 2 {
			t.Errorf("objects = %v", o)
		}
		if v := read(t, h, "objects/"+toolID+"/versions/", "").versions; slices.Contains(v, "2026-01-02T00:00:00.000000Z") {
			t.Errorf("versions = %v", v)
		}
	})
	t.Run("5.7_an_object_without_versions_is_not_found", func(t *testing.T) {
		do(t, h, "DELETE", target+"?match[version]=all", "")
		for _, gone := range []string{target, target + "versions/"} {
			if resp := do(t, h, "GET", gone, ""); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", gone, resp.StatusCode)
			}
		}
	})
}

func TestClientClauses(t *testing.T) {
	var seen http.Header
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		answers(200, MediaType, `{"objects":[`+urlObject(1)+`]}`)(w, r)
	}))
	p, err := c.Objects(t.Context(), Location{Objects: "/x/"}, PageQuery{Next: "opaque & §"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readPage(p); err != nil {
		t.Fatal(err)
	}
	t.Run("8.4.1_it_says_who_it_is", func(t *testing.T) {
		if !strings.HasPrefix(seen.Get("User-Agent"), "certlink") {
			t.Errorf("user agent = %q", seen.Get("User-Agent"))
		}
	})
	t.Run("3.1_it_says_what_it_accepts", func(t *testing.T) {
		if seen.Get("Accept") != MediaType {
			t.Errorf("accept = %q", seen.Get("Accept"))
		}
	})
	t.Run("8.4.2_it_parses_all_properties", func(t *testing.T) {
		for _, v := range []any{&Discovery{}, &APIRoot{}, &Collection{}, &Manifest{}, &Status{}, &VersionList{}, &ProtocolError{}} {
			if err := json.Unmarshal([]byte(`{"title":"x","description":"y","x_custom":1}`), v); err != nil {
				t.Error(err)
			}
		}
	})
}
