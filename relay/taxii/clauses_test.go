// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

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

// bare shows no collection.
type bare struct{ *onDisk }

func (bare) Collections(context.Context) ([]Collection, error) { return nil, nil }

func TestResources(t *testing.T) {
	h := conforming(t)
	get := func(t *testing.T, target string, to any) string {
		t.Helper()
		body := text(t, do(t, h, "GET", target, ""))
		if err := json.Unmarshal([]byte(body), to); err != nil {
			t.Fatal(err)
		}
		return body
	}
	t.Run("4.1.1_the_default_is_one_of_the_API_roots", func(t *testing.T) {
		var d Discovery
		get(t, "https://relay.alfa.example/taxii2/", &d)
		if d.Title == "" || !slices.Contains(d.APIRoots, d.Default) {
			t.Errorf("discovery = %+v", d)
		}
		for _, root := range d.APIRoots {
			if u, err := url.Parse(root); err != nil || u.Scheme != "https" || u.RawQuery != "" || !strings.HasSuffix(u.Path, "/") {
				t.Errorf("API root = %s", root)
			}
		}
	})
	t.Run("4.2.1_the_API_root_says_its_version_and_length", func(t *testing.T) {
		var r APIRoot
		get(t, "/taxii2/feeds/", &r)
		if r.Title == "" || !slices.Contains(r.Versions, "application/taxii+json;version=2.1") || r.MaxContentLength <= 0 {
			t.Errorf("API root = %+v", r)
		}
	})
	t.Run("5.1.1_no_collections_are_an_empty_object", func(t *testing.T) {
		none := NewHandler(Options{Root: "feeds", Title: "alfa", Backend: bare{&onDisk{}}, Port: "local"})
		if body := text(t, do(t, none, "GET", "/taxii2/feeds/collections/", "")); body != "{}" {
			t.Errorf("collections = %s", body)
		}
	})
	t.Run("3.3_collections_stand_in_the_same_order", func(t *testing.T) {
		var c Collections
		first := get(t, "/taxii2/feeds/collections/", &c)
		if again := get(t, "/taxii2/feeds/collections/", &c); again != first {
			t.Errorf("%s, then %s", first, again)
		}
	})
	t.Run("3.3_records_ascend_by_date_added", func(t *testing.T) {
		m := read(t, h, "manifest/", "match[version]=all&match[spec_version]=2.0,2.1&limit=2").manifest
		if len(m) != len(shelf) || !slices.IsSortedFunc(m, func(a, b ManifestRecord) int { return strings.Compare(a.DateAdded, b.DateAdded) }) {
			t.Errorf("manifest = %+v", m)
		}
	})
	t.Run("5.3.1_a_media_type_is_one_of_the_collections", func(t *testing.T) {
		for _, m := range read(t, h, "manifest/", "match[version]=all&match[spec_version]=2.0,2.1").manifest {
			if !slices.Contains(MediaTypes(), m.MediaType) {
				t.Errorf("%s is %s", m.ID, m.MediaType)
			}
		}
	})
	t.Run("2_timestamps_have_six_digits_and_Z", func(t *testing.T) {
		for _, m := range read(t, h, "manifest/", "").manifest {
			for _, at := range []string{m.DateAdded, m.Version} {
				if _, err := time.Parse(TimeFormat, at); err != nil {
					t.Error(err)
				}
			}
		}
	})
	t.Run("3.7_no_objects_are_an_empty_envelope", func(t *testing.T) {
		if body := text(t, do(t, h, "GET", inBoth+"objects/?match[type]=malware", "")); body != "{}" {
			t.Errorf("envelope = %s", body)
		}
	})
	t.Run("8.1.2_what_a_resource_requires_is_there", func(t *testing.T) {
		for target, required := range map[string][]string{
			"/taxii2/": {"title"}, "/taxii2/feeds/": {"title", "versions", "max_content_length"},
			"/taxii2/feeds/collections/read/": {"id", "title", "can_read", "can_write"},
		} {
			var members map[string]json.RawMessage
			get(t, target, &members)
			for _, name := range required {
				if _, ok := members[name]; !ok {
					t.Errorf("%s has no %s", target, name)
				}
			}
		}
	})
}

func TestStatusResource(t *testing.T) {
	f := &fake{}
	h := newTestHandler(f)
	const target = "/taxii2/feeds/collections/both/objects/"
	t.Run("4.3.1_what_a_status_requires_is_there", func(t *testing.T) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text(t, do(t, h, "POST", target, `{"objects":[`+urlObject(1)+`]}`))), &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"id", "status", "total_count", "success_count", "failure_count", "pending_count"} {
			if _, ok := members[name]; !ok {
				t.Errorf("it has no %s", name)
			}
		}
	})
	t.Run("4.3.1_the_version_is_modified_else_created", func(t *testing.T) {
		body := `{"objects":[` + tool(toolID, "2.1", 7) + `,{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-000000000001","created":"2026-01-09T00:00:00.000Z"}]}`
		s := statusOf(t, do(t, h, "POST", target, body))
		want := []StatusDetail{
			{ID: toolID, Version: "2026-01-07T00:00:00.000000Z"},
			{ID: "marking-definition--00000000-0000-4000-8000-000000000001", Version: "2026-01-09T00:00:00.000000Z"},
		}
		if diff := cmp.Diff(want, s.Successes); diff != "" {
			t.Errorf("successes (-want +got):\n%s", diff)
		}
	})
	t.Run("5.5_an_exact_duplicate_is_no_failure", func(t *testing.T) {
		if s := statusOf(t, do(t, h, "POST", target, `{"objects":[`+urlObject(1)+`,`+urlObject(1)+`]}`)); s.FailureCount != 0 || s.SuccessCount != 2 {
			t.Errorf("status = %+v", s)
		}
	})
	t.Run("5.5_one_bad_object_spares_the_others", func(t *testing.T) {
		if s := statusOf(t, do(t, h, "POST", target, `{"objects":[{},`+urlObject(5)+`]}`)); s.FailureCount != 1 || s.SuccessCount != 1 {
			t.Errorf("status = %+v", s)
		}
	})
	t.Run("7.1_custom_properties_of_an_envelope_are_ignored", func(t *testing.T) {
		if s := statusOf(t, do(t, h, "POST", target, `{"x_example":{"a":1},"objects":[`+urlObject(6)+`]}`)); s.SuccessCount != 1 {
			t.Errorf("status = %+v", s)
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

// telling is a Backend that tells its markings.
type telling struct{ *fake }

func (telling) Markings(_ context.Context, id string) (Markings, error) {
	return Markings{TLPLevels: []string{"CLEAR", "GREEN"}, MarkingRefs: []string{id}}, nil
}

func TestMarkingsResource(t *testing.T) {
	h := newTestHandler(telling{&fake{}})
	var c Collection
	if err := json.Unmarshal([]byte(text(t, do(t, h, "GET", "/taxii2/feeds/collections/read/", ""))), &c); err != nil {
		t.Fatal(err)
	}
	t.Run("7.1_the_collection_links_to_it", func(t *testing.T) {
		if want := "/taxii2/feeds/collections/" + readID + "/markings/"; c.Markings != want {
			t.Errorf("link = %q, want %q", c.Markings, want)
		}
	})
	t.Run("8.2.1_it_tells_what_may_be_seen", func(t *testing.T) {
		want := fmt.Sprintf(`{"tlp_levels":["CLEAR","GREEN"],"marking_refs":[%q]}`, readID)
		if resp := do(t, h, "GET", c.Markings, ""); resp.StatusCode != http.StatusOK || text(t, resp) != want {
			t.Errorf("status = %d", resp.StatusCode)
		}
	})
	for target, want := range map[string]int{
		"/taxii2/feeds/collections/never/markings/": 404, "/taxii2/feeds/collections/write/markings/": 403,
		"/taxii2/feeds/collections/read/markings": 404, "/taxii2/feeds/collections/read/markings/x/": 404,
	} {
		if resp := do(t, h, "GET", target, ""); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, resp.StatusCode, want)
		}
	}
	if resp := do(t, newTestHandler(&fake{}), "GET", c.Markings, ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("of a backend that does not tell: %d", resp.StatusCode)
	}
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
