// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/stix"
)

func TestClientToleratesMistakesOfServers(t *testing.T) {
	javaScript := func(at time.Time) string {
		return at.In(time.FixedZone("", 3600)).Format("Mon Jan 02 2006 15:04:05") + " GMT+0100 (Central European Standard Time)"
	}
	inTAXII := FormatTime
	seconds := func(at time.Time) string { return at.Format("2006-01-02T15:04:05Z") }
	for name, tt := range map[string]struct {
		server *flawed
		limit  int
		want   int
	}{
		"none_at_all":                              {&flawed{n: 10, cursor: true, header: inTAXII}, 4, 10},
		"no_next":                                  {&flawed{n: 10, header: inTAXII}, 4, 10},
		"no_next_and_many_of_one_date":             {&flawed{n: 60, alike: 7, header: inTAXII}, 4, 60},
		"no_next_and_no_dates_but_a_manifest":      {&flawed{n: 10, manifest: true}, 4, 10},
		"no_next_and_dates_with_a_space":           {&flawed{n: 10, header: func(at time.Time) string { return at.Format("2006-01-02 15:04:05.000") }}, 4, 10},
		"no_next_and_dates_with_an_offset":         {&flawed{n: 10, header: func(at time.Time) string { return at.Format("2006-01-02T15:04:05.000000+00:00") }}, 4, 10},
		"no_next_and_dates_in_seconds":             {&flawed{n: 3, alike: 1, header: seconds}, 4, 3},
		"dates_as_JavaScript_prints_them":          {&flawed{n: 10, cursor: true, header: javaScript}, 4, 10},
		"no_match_on_spec_version":                 {&flawed{n: 10, cursor: true, refuses: []string{"match[spec_version]"}}, 4, 10},
		"no_match_at_all":                          {&flawed{n: 10, cursor: true, refuses: []string{"match[spec_version]", "match[version]"}}, 4, 10},
		"pages_shorter_than_asked_for":             {&flawed{n: 10, page: 3, header: inTAXII}, 1000, 10},
		"application_json":                         {&flawed{n: 10, cursor: true, contentType: "application/json"}, 4, 10},
		"application_json_with_charset":            {&flawed{n: 10, cursor: true, contentType: "application/json; charset=utf-8"}, 4, 10},
		"TAXII_with_charset":                       {&flawed{n: 10, cursor: true, contentType: "application/taxii+json; version=2.1; charset=utf-8"}, 4, 10},
		"TAXII_without_version":                    {&flawed{n: 10, cursor: true, contentType: "Application/TAXII+JSON"}, 4, 10},
		"no_slash_at_the_end":                      {&flawed{n: 10, cursor: true, bare: true}, 4, 10},
		"with_404_for_the_objects_of_an_empty_one": {&flawed{objects: answers(404, MediaType, `{"title":"nothing there"}`)}, 4, 0},
		"with_416_for_the_objects_of_an_empty_one": {&flawed{objects: answers(416, MediaType, `{"title":"no such range"}`)}, 4, 0},
		"with_204_for_the_objects_of_an_empty_one": {&flawed{objects: answers(204, "", "")}, 4, 0},
		"an_empty_body_for_an_empty_one":           {&flawed{objects: answers(200, MediaType, "")}, 4, 0},
		"null_for_what_is_not_there":               {&flawed{objects: answers(200, MediaType, `{"more":false,"next":null,"objects":null}`)}, 4, 0},
		"with_206_for_a_page":                      {&flawed{objects: answers(206, MediaType, `{"objects":[`+urlObject(0)+`]}`)}, 4, 1},
		"a_page_that_ignores_limit":                {&flawed{objects: answers(200, MediaType, `{"objects":[`+urlObject(0)+`,`+urlObject(1)+`]}`)}, 1, 2},
		"a_next_that_is_a_number_without_quotes":   {&flawed{objects: numbered}, 4, 2},
	} {
		t.Run(name, func(t *testing.T) {
			got, end, err := collect(t, serve(t, tt.server), "one", tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range tt.want {
				want = append(want, urlObject(i))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			if _, err := parseAddedAfter(end.AddedAfter); end.Next != "" || end.AddedAfter != "" && err != nil {
				t.Errorf("it would go on at %+v", end)
			}
		})
	}
}

func TestClientNamesWhatItCannotTolerate(t *testing.T) {
	var n atomic.Int64
	circle := func(w http.ResponseWriter, r *http.Request) {
		answers(200, MediaType, fmt.Sprintf(`{"more":true,"next":"%d","objects":[%s]}`, n.Add(1)%5, urlObject(0)))(w, r)
	}
	for name, tt := range map[string]struct {
		server *flawed
		want   error
	}{
		"more_and_the_same_cursor":             {&flawed{objects: answers(200, MediaType, `{"more":true,"next":"a","objects":[`+urlObject(0)+`]}`)}, ErrNoProgress},
		"cursors_in_a_circle":                  {&flawed{objects: circle}, ErrNoProgress},
		"more_without_cursor_and_date":         {&flawed{n: 10, page: 3}, ErrNoProgress},
		"more_and_a_date_that_stands_still":    {&flawed{n: 10, page: 3, header: func(time.Time) string { return "2026-01-01T00:00:00.000001Z" }}, ErrNoProgress},
		"more_of_one_date_than_a_page_can_be":  {&flawed{n: 10, alike: 10, page: 3, header: FormatTime}, ErrNoProgress},
		"another_version":                      {&flawed{contentType: "application/taxii+json;version=2.0"}, ErrNotTAXII},
		"a_page_for_people":                    {&flawed{objects: answers(200, "text/html", "<html>")}, ErrNotTAXII},
		"a_list_instead_of_an_envelope":        {&flawed{objects: answers(200, MediaType, "[]")}, stix.ErrContainer},
		"a_string_instead_of_the_objects":      {&flawed{objects: answers(200, MediaType, `{"objects":"x"}`)}, stix.ErrContainer},
		"an_object_instead_of_the_next_cursor": {&flawed{objects: answers(200, MediaType, `{"more":true,"next":{}}`)}, stix.ErrContainer},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := collect(t, serve(t, tt.server), "c1", 4); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
			if asks := tt.server.asks.Load(); asks > 40 {
				t.Errorf("%d requests were made", asks)
			}
		})
	}
}

func TestClientFindsACollection(t *testing.T) {
	server := httptest.NewTLSServer(&flawed{n: 1, cursor: true})
	t.Cleanup(server.Close)
	for name, tt := range map[string]struct {
		path, name, want string
	}{
		"by_id_before_title":              {"", "c1", "c1"},
		"by_alias":                        {"", "one", "c1"},
		"by_title":                        {"", "The first", "c1"},
		"from_the_URL_of_the_discovery":   {"/taxii2/", "c1", "c1"},
		"from_the_URL_of_an_API_root":     {"/root/", "c1", "c1"},
		"from_one_without_a_slash":        {"/root", "c1", "c1"},
		"but_none_that_is_not_there":      {"", "c2", ""},
		"and_none_below_what_is_not_root": {"/other/", "c1", ""},
		"and_none_without_a_name":         {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := NewClient(ClientConfig{HTTP: server.Client(), Server: server.URL + tt.path})
			if err != nil {
				t.Fatal(err)
			}
			l, err := c.Find(t.Context(), tt.name)
			if l.ID != tt.want || (tt.want == "") != (err != nil) {
				t.Errorf("found %+v, %v", l, err)
			}
		})
	}
}

func TestClientFollowsTheSlashAlone(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	for name, tt := range map[string]struct {
		to     func(r *http.Request) string
		status int
	}{
		"away":                  {func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/") + "?" + r.URL.RawQuery }, 0},
		"away_without_query":    {func(r *http.Request) string { return strings.TrimSuffix(r.URL.Path, "/") }, 308},
		"to_another_path":       {func(r *http.Request) string { return "/login?" + r.URL.RawQuery }, 308},
		"to_another_server":     {func(r *http.Request) string { return elsewhere.URL + r.URL.Path + "?" + r.URL.RawQuery }, 308},
		"to_itself_for_ever":    {func(r *http.Request) string { return r.URL.String() }, 308},
		"to_another_scheme":     {func(r *http.Request) string { return "http://" + r.Host + r.URL.String() }, 308},
		"nowhere":               {func(*http.Request) string { return "" }, 308},
		"to_what_is_no_address": {func(*http.Request) string { return "http://[" }, 308},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/") {
					answers(200, MediaType, `{"objects":[`+urlObject(1)+`]}`)(w, r)
					return
				}
				if to := tt.to(r); to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(http.StatusPermanentRedirect)
			}))
			p, err := c.Objects(t.Context(), Location{Objects: "/x/objects/"}, PageQuery{Limit: 4})
			if tt.status == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if objects, err := readPage(p); err != nil || len(objects) != 1 {
					t.Errorf("%d objects, %v", len(objects), err)
				}
			} else if err == nil {
				p.Close()
				t.Error("it was followed")
			}
		})
	}
	if asked.Load() > 0 {
		t.Error("another server was asked")
	}
}

func TestClientAdds(t *testing.T) {
	f := &fake{}
	c := serve(t, asBravo(newTestHandler(f)))
	l := mustFind(t, c, "both")
	s, err := c.Add(t.Context(), l, [][]byte{[]byte(urlObject(1)), []byte(`{"id":"x"}`)})
	if err != nil || s.Status != Complete || s.SuccessCount != 1 || s.FailureCount != 1 || len(f.records) != 1 {
		t.Fatalf("status = %+v, %v", s, err)
	}
	again, err := c.Status(t.Context(), l, s.ID)
	if diff := cmp.Diff(s, again); diff != "" || err != nil {
		t.Errorf("asked again: %v\n%s", err, diff)
	}
	if _, err := c.Status(t.Context(), l, "other"); !isStatus(err, http.StatusNotFound) {
		t.Errorf("another status: %v", err)
	}
	if root, err := c.Root(t.Context(), l); err != nil || root.MaxContentLength != MaxContentLength {
		t.Errorf("root = %+v, %v", root, err)
	}
	if _, err := c.Add(t.Context(), mustFind(t, c, "read"), [][]byte{[]byte(urlObject(2))}); !isStatus(err, http.StatusForbidden) {
		t.Errorf("adding to what can only be read: %v", err)
	}
}

func FuzzReadDate(f *testing.F) {
	for _, text := range []string{
		"2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01 00:00:00", "x", "",
		"Thu Jan 01 2026 01:00:00 GMT+0100 (Central European Standard Time)", "Thu, 01 Jan 2026 00:00:00 GMT", "9999-12-31T23:59:59-23:00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, ok := readDate(text)
		if !ok {
			return
		}
		if again, err := parseAddedAfter(FormatTime(at)); err != nil || !again.Equal(at) {
			t.Errorf("%q is %s, which reads as %s, %v", text, FormatTime(at), again, err)
		}
	})
}
