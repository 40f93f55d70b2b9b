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
)

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
