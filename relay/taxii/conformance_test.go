// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// onDisk is the fake with a real store behind it; all its collections have the same content.
type onDisk struct {
	fake
	store *sqlite.Store
}

func (d *onDisk) Objects(ctx context.Context, _ string, q store.Query) (store.Page, error) {
	return d.store.ListObjects(ctx, "c", q)
}

func (d *onDisk) Delete(ctx context.Context, _ string, q store.Query) (int, error) {
	return d.store.DeleteObjects(ctx, "c", q)
}

const (
	toolID  = "tool--00000000-0000-4000-8000-000000000001"
	mixedID = "tool--00000000-0000-4000-8000-000000000002"
	addrID  = "ipv4-addr--00000000-0000-4000-8000-000000000003"
	noneID  = "tool--00000000-0000-4000-8000-000000000009"
)

// tool is version day of a tool, in the spec version.
func tool(id, spec string, day int) string {
	return fmt.Sprintf(`{"type":"tool", "spec_version":%q,"id":%q,"created":"2026-01-01T00:00:00Z","modified":"2026-01-%02dT00:00:00.000Z"}`, spec, id, day)
}

// shelf is what the conformance tests read, in the order in which it was added.
var shelf = []string{
	tool(toolID, "2.1", 2), tool(mixedID, "2.0", 5), tool(toolID, "2.1", 1),
	`{"type":"ipv4-addr", "id":"` + addrID + `","value":"192.0.2.1"}`, tool(mixedID, "2.1", 4), tool(toolID, "2.1", 3),
}

// added are their dates: the clock stands still, and no two records share one.
var added = []string{
	"2026-02-01T00:00:00.000000Z", "2026-02-01T00:00:00.000001Z", "2026-02-01T00:00:00.000002Z",
	"2026-02-01T00:00:00.000003Z", "2026-02-01T00:00:00.000004Z", "2026-02-01T00:00:00.000005Z",
}

func conforming(t *testing.T) http.Handler {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "relay.db"), Now: func() time.Time { return time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, text := range shelf {
		o, err := stix.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutObjects(t.Context(), "c", []store.Object{
			{ID: o.ID, Type: o.Type, SpecVersion: o.SpecVersion, Version: o.Version, Raw: o.Raw},
		}, ""); err != nil {
			t.Fatal(err)
		}
	}
	return NewHandler(Options{Root: "feeds", Title: "alfa", Backend: &onDisk{store: s}, Port: "local"})
}

const inBoth = "/taxii2/feeds/collections/both/"

// reading is what one can read by next, page for page.
type reading struct {
	objects  []string
	manifest []ManifestRecord
	versions []string
	// dates are the two headers of each page.
	dates []string
}

func read(t *testing.T, h http.Handler, path, query string) reading {
	t.Helper()
	var r reading
	for next := ""; ; {
		resp := do(t, h, "GET", inBoth+path+"?"+query+next, "")
		body := text(t, resp)
		var page struct {
			More     bool
			Next     string
			Objects  []json.RawMessage
			Versions []string
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != MediaType {
			t.Fatalf("%d %v %s, %v", resp.StatusCode, resp.Header, body, err)
		}
		for _, o := range page.Objects {
			r.objects = append(r.objects, string(o))
			var m ManifestRecord
			if path == "manifest/" {
				if err := json.Unmarshal(o, &m); err != nil {
					t.Fatal(err)
				}
				r.manifest = append(r.manifest, m)
			}
		}
		r.versions = append(r.versions, page.Versions...)
		r.dates = append(r.dates, resp.Header.Get("X-TAXII-Date-Added-First")+" "+resp.Header.Get("X-TAXII-Date-Added-Last"))
		if page.More != (page.Next != "") {
			t.Errorf("more without next, or next without more: %s", body)
		}
		if !page.More {
			return r
		}
		next = "&next=" + url.QueryEscape(page.Next)
	}
}

// pick are objects of the shelf.
func pick(numbers ...int) []string {
	var all []string
	for _, n := range numbers {
		all = append(all, shelf[n])
	}
	return all
}

func TestFilters(t *testing.T) {
	h := conforming(t)
	const both = "match[spec_version]=2.0,2.1"
	for name, tt := range map[string]struct {
		query string
		want  []string
	}{
		"3.4.1_without_filters_the_last_version_of_the_newest_spec": {"", pick(3, 4, 5)},
		"3.4.1_match_version_last":                                  {"match[version]=last", pick(3, 4, 5)},
		"3.4.1_match_version_first":                                 {"match[version]=first", pick(2, 3, 4)},
		"3.4.1_match_version_all":                                   {"match[version]=all", pick(0, 2, 3, 4, 5)},
		"3.4.1_match_version_all_of_all_specs":                      {"match[version]=all&" + both, pick(0, 1, 2, 3, 4, 5)},
		"3.4.1_match_version_by_time":                               {"match[version]=2026-01-02T00:00:00.000Z", pick(0)},
		"3.4.1_match_version_by_time_to_the_microsecond":            {"match[version]=2026-01-02T00:00:00.000001Z", nil},
		"3.4.1_match_version_by_date_added_for_lack_of_another":     {"match[version]=" + added[3], pick(3)},
		"3.4.1_match_version_first_or_last":                         {"match[version]=first,last", pick(2, 3, 4, 5)},
		"3.4.1_match_version_first_or_a_time":                       {"match[version]=first,2026-01-02T00:00:00Z", pick(0, 2, 3, 4)},
		"3.4.1_match_spec_version_2.0":                              {"match[spec_version]=2.0", pick(1)},
		"3.4.1_match_spec_version_2.1":                              {"match[spec_version]=2.1", pick(3, 4, 5)},
		"3.4.1_match_spec_version_of_both":                          {both, pick(1, 3, 5)},
		"3.4.1_match_spec_version_that_nothing_has":                 {"match[spec_version]=3.0", nil},
		"3.4.1_match_type":                                          {"match[type]=ipv4-addr", pick(3)},
		"3.4.1_match_type_or":                                       {"match[type]=ipv4-addr,tool", pick(3, 4, 5)},
		"3.4.1_match_id_or":                                         {"match[id]=" + toolID + "," + addrID, pick(3, 5)},
		"3.4_different_filters_all_agree":                           {"match[id]=" + toolID + "," + mixedID + "&match[type]=tool&match[version]=first", pick(2, 4)},
		"3.4_added_after":                                           {"added_after=" + added[3], pick(4, 5)},
		"3.4_added_after_does_not_change_which_is_the_first":        {"match[version]=first&added_after=" + added[2], pick(3, 4)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []string{"", "&limit=1", "&limit=2"} {
				if diff := cmp.Diff(tt.want, read(t, h, "objects/", tt.query+limit).objects); diff != "" {
					t.Errorf("objects%s (-want +got):\n%s", limit, diff)
				}
				var ids []string
				for _, m := range read(t, h, "manifest/", tt.query+limit).manifest {
					ids = append(ids, m.ID)
				}
				var want []string
				for _, o := range tt.want {
					_, rest, _ := strings.Cut(o, `"id":"`)
					id, _, _ := strings.Cut(rest, `"`)
					want = append(want, id)
				}
				if diff := cmp.Diff(want, ids); diff != "" {
					t.Errorf("manifest%s (-want +got):\n%s", limit, diff)
				}
			}
		})
	}
}

func TestManifest(t *testing.T) {
	h := conforming(t)
	want := []ManifestRecord{
		{toolID, added[0], "2026-01-02T00:00:00.000000Z", "application/stix+json;version=2.1"},
		{mixedID, added[1], "2026-01-05T00:00:00.000000Z", "application/stix+json;version=2.0"},
		{toolID, added[2], "2026-01-01T00:00:00.000000Z", "application/stix+json;version=2.1"},
		{addrID, added[3], added[3], "application/stix+json;version=2.1"},
		{mixedID, added[4], "2026-01-04T00:00:00.000000Z", "application/stix+json;version=2.1"},
		{toolID, added[5], "2026-01-03T00:00:00.000000Z", "application/stix+json;version=2.1"},
	}
	got := read(t, h, "manifest/", "match[version]=all&match[spec_version]=2.0,2.1&limit=4")
	if diff := cmp.Diff(want, got.manifest); diff != "" {
		t.Errorf("5.3 records (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{added[0] + " " + added[3], added[4] + " " + added[5]}, got.dates); diff != "" {
		t.Errorf("3.2 dates added (-want +got):\n%s", diff)
	}
	if body := text(t, do(t, h, "GET", inBoth+"manifest/?match[type]=malware", "")); body != "{}" {
		t.Errorf("5.3 nothing = %s", body)
	}
}

func TestObject(t *testing.T) {
	h := conforming(t)
	for name, tt := range map[string]struct {
		id, query string
		want      []string
	}{
		"5.6_the_last_version":         {toolID, "", pick(5)},
		"5.6_all_versions":             {toolID, "match[version]=all", pick(0, 2, 5)},
		"5.6_the_newest_spec_version":  {mixedID, "", pick(4)},
		"5.6_another_spec_version":     {mixedID, "match[spec_version]=2.0", pick(1)},
		"5.6_what_has_no_version":      {addrID, "match[version]=first", pick(3)},
		"5.6_added_after":              {toolID, "match[version]=all&added_after=" + added[0], pick(2, 5)},
		"5.6_nothing_is_an_empty_page": {toolID, "match[spec_version]=2.0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []string{"", "&limit=1"} {
				if diff := cmp.Diff(tt.want, read(t, h, "objects/"+tt.id+"/", tt.query+limit).objects); diff != "" {
					t.Errorf("objects (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestVersions(t *testing.T) {
	h := conforming(t)
	one, two, three := "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z", "2026-01-03T00:00:00.000000Z"
	for name, tt := range map[string]struct {
		id, query string
		want      []string
	}{
		"5.8_by_date_added":               {toolID, "", []string{two, one, three}},
		"5.8_by_page":                     {toolID, "limit=2", []string{two, one, three}},
		"5.8_added_after":                 {toolID, "limit=1&added_after=" + added[0], []string{one, three}},
		"5.8_of_the_newest_spec_version":  {mixedID, "", []string{"2026-01-04T00:00:00.000000Z"}},
		"5.8_of_both_spec_versions":       {mixedID, "match[spec_version]=2.0,2.1&limit=1", []string{"2026-01-05T00:00:00.000000Z", "2026-01-04T00:00:00.000000Z"}},
		"5.8_of_what_has_no_version":      {addrID, "", added[3:4]},
		"5.8_of_a_spec_version_it_has_no": {toolID, "match[spec_version]=2.0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, read(t, h, "objects/"+tt.id+"/versions/", tt.query).versions); diff != "" {
				t.Errorf("versions (-want +got):\n%s", diff)
			}
		})
	}
	if got := read(t, h, "objects/"+toolID+"/versions/", "limit=2").dates; !cmp.Equal(got, []string{added[0] + " " + added[2], added[5] + " " + added[5]}) {
		t.Errorf("3.2 dates added = %v", got)
	}
}

func TestCollectionContentAnswers(t *testing.T) {
	h := conforming(t)
	for name, tt := range map[string]struct {
		method, target string
		status         int
	}{
		"5.3_manifest_of_what_is_not_there":          {"GET", "/taxii2/feeds/collections/other/manifest/", 404},
		"5.3_manifest_that_may_not_be_read":          {"GET", "/taxii2/feeds/collections/write/manifest/", 403},
		"5.3_manifest_is_not_written":                {"POST", inBoth + "manifest/", 405},
		"5.3_a_cursor_of_another_query":              {"GET", inBoth + "manifest/?next=AAAA", 400},
		"5.6_an_object_that_is_not_there":            {"GET", inBoth + "objects/" + noneID + "/", 404},
		"5.6_a_version_that_is_not_there":            {"GET", inBoth + "objects/" + toolID + "/?match[version]=2020-01-01T00:00:00Z", 404},
		"5.6_an_object_of_no_valid_id":               {"GET", inBoth + "objects/tool/", 404},
		"5.6_an_object_that_may_not_be_read":         {"GET", "/taxii2/feeds/collections/write/objects/" + toolID + "/", 403},
		"5.6_match_id_is_not_of_this_resource":       {"GET", inBoth + "objects/" + toolID + "/?match[id]=" + toolID, 400},
		"5.6_match_type_is_not_of_this_resource":     {"GET", inBoth + "objects/" + toolID + "/?match[type]=tool", 400},
		"5.6_an_object_is_not_written":               {"POST", inBoth + "objects/" + toolID + "/", 405},
		"3.1_without_slash":                          {"GET", inBoth + "objects/" + toolID, 404},
		"5.7_of_what_is_not_there":                   {"DELETE", inBoth + "objects/" + noneID + "/", 404},
		"5.7_of_a_version_that_is_not_there":         {"DELETE", inBoth + "objects/" + toolID + "/?match[version]=2020-01-01T00:00:00Z", 404},
		"5.7_in_a_collection_that_is_not_there":      {"DELETE", "/taxii2/feeds/collections/other/objects/" + toolID + "/", 404},
		"5.7_in_a_collection_that_can_only_be_read":  {"DELETE", "/taxii2/feeds/collections/read/objects/" + toolID + "/", 403},
		"5.7_in_a_collection_that_can_only_be_added": {"DELETE", "/taxii2/feeds/collections/write/objects/" + toolID + "/", 403},
		"5.7_added_after_is_not_of_this_resource":    {"DELETE", inBoth + "objects/" + toolID + "/?added_after=" + added[0], 400},
		"5.7_a_collection_is_not_deleted":            {"DELETE", inBoth, 405},
		"5.8_versions_of_what_is_not_there":          {"GET", inBoth + "objects/" + noneID + "/versions/", 404},
		"5.8_match_version_is_not_of_this_resource":  {"GET", inBoth + "objects/" + toolID + "/versions/?match[version]=all", 400},
		"5.8_versions_are_not_deleted":               {"DELETE", inBoth + "objects/" + toolID + "/versions/", 405},
		"5.8_something_behind_versions":              {"GET", inBoth + "objects/" + toolID + "/versions/1/", 404},
		"3.1_something_else_in_a_collection":         {"GET", inBoth + "colours/", 404},
	} {
		t.Run(name, func(t *testing.T) {
			resp := do(t, h, tt.method, tt.target, "")
			body := text(t, resp)
			var e ProtocolError
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Title == "" || resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != MediaType {
				t.Errorf("answer = %d %s, %v; want %d", resp.StatusCode, body, err, tt.status)
			}
		})
	}
	if resp := do(t, h, "PUT", inBoth+"objects/"+toolID+"/", ""); resp.Header.Get("Allow") != "DELETE, GET, HEAD, OPTIONS" {
		t.Errorf("allow = %q", resp.Header.Get("Allow"))
	}
}
