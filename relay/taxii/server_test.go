// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/store"
)

func TestAnswers(t *testing.T) {
	const objects = "/taxii2/feeds/collections/both/objects/"
	tests := map[string]struct {
		method, target, body string
		headers              []string
		status               int
		want                 string
	}{
		"4.1_discovery":                          {target: "https://relay.alfa.example:8443/taxii2/", status: 200, want: `{"title":"alfa","default":"https://relay.alfa.example:8443/taxii2/feeds/","api_roots":["https://relay.alfa.example:8443/taxii2/feeds/"]}`},
		"4.2_api_root":                           {target: "/taxii2/feeds/", status: 200, want: `{"title":"alfa","versions":["application/taxii+json;version=2.1"],"max_content_length":10485760}`},
		"4.2_another_root_is_not_there":          {target: "/taxii2/local/", status: 404},
		"4.3_an_unknown_status_is_not_there":     {target: "/taxii2/feeds/status/33333333-3333-4333-8333-333333333333/", status: 404},
		"5.1_collections":                        {target: "/taxii2/feeds/collections/", status: 200},
		"5.2_collection_by_id":                   {target: "/taxii2/feeds/collections/" + readID + "/", status: 200, want: `{"id":"` + readID + `","title":"Read","alias":"read","can_read":true,"can_write":false}`},
		"8.2.1_without_a_user_agent":             {target: "/taxii2/", headers: []string{"User-Agent", ""}, status: 200},
		"5.2_collection_by_alias":                {target: "/taxii2/feeds/collections/read/", status: 200},
		"5.2_what_one_may_not_see_is_not_there":  {target: "/taxii2/feeds/collections/other/", status: 404},
		"5.4_objects":                            {target: objects, status: 200},
		"5.4_objects_of_what_is_not_there":       {target: "/taxii2/feeds/collections/other/objects/", status: 404},
		"5.4_objects_that_may_not_be_read":       {target: "/taxii2/feeds/collections/write/objects/", status: 403},
		"5.5_objects_that_may_not_be_written":    {method: "POST", target: "/taxii2/feeds/collections/read/objects/", body: "{}", status: 403},
		"5.5_objects_to_what_is_not_there":       {method: "POST", target: "/taxii2/feeds/collections/other/objects/", body: "{}", status: 404},
		"1.6.8_a_body_with_charset":              {method: "POST", target: objects, body: "{}", headers: []string{"Content-Type", "application/taxii+json; version=2.1; charset=utf-8"}, status: 202},
		"1.6.8_a_body_without_version":           {method: "POST", target: objects, body: "{}", headers: []string{"Content-Type", "application/taxii+json"}, status: 202},
		"5.5_a_body_without_accept":              {method: "POST", target: objects, body: "{}", headers: []string{"Accept", ""}, status: 406},
		"5.5_a_body_that_is_as_long_as_may_be":   {method: "POST", target: objects, body: "{}" + strings.Repeat(" ", MaxContentLength-2), status: 202},
		"5.5_a_body_of_another_type":             {method: "POST", target: objects, body: "{}", headers: []string{"Content-Type", "application/json"}, status: 415},
		"5.5_a_body_of_TAXII_2.0":                {method: "POST", target: objects, body: "{}", headers: []string{"Content-Type", "application/vnd.oasis.stix+json; version=2.0"}, status: 415},
		"5.5_a_body_without_type":                {method: "POST", target: objects, body: "{}", headers: []string{"Content-Type", ""}, status: 415},
		"5.5_a_body_of_another_version":          {method: "POST", target: objects, body: "{}", headers: []string{"Content-Type", "application/taxii+json;version=2.2"}, status: 415},
		"5.5_a_compressed_body":                  {method: "POST", target: objects, body: "{}", headers: []string{"Content-Encoding", "gzip"}, status: 415},
		"5.5_a_body_that_is_too_long":            {method: "POST", target: objects, body: strings.Repeat(" ", MaxContentLength+1), status: 413},
		"5.5_too_many_objects":                   {method: "POST", target: objects, body: `{"objects":[` + strings.Repeat("1,", MaxObjectsPerPost) + `1]}`, status: 413},
		"5.5_a_body_that_is_no_envelope":         {method: "POST", target: objects, body: `[]`, status: 400},
		"5.5_a_body_that_is_cut":                 {method: "POST", target: objects, body: `{"objects":[` + urlObject(1), status: 400},
		"1.6.8_no_accept":                        {target: "/taxii2/", headers: []string{"Accept", ""}, status: 406},
		"1.6.8_accept_another_type":              {target: "/taxii2/", headers: []string{"Accept", "application/json"}, status: 406},
		"1.6.8_accept_another_version":           {target: "/taxii2/", headers: []string{"Accept", "application/taxii+json;version=2.0"}, status: 406},
		"1.6.8_accept_the_latest_version":        {target: "/taxii2/", headers: []string{"Accept", "application/taxii+json"}, status: 200},
		"1.6.8_accept_anything":                  {target: "/taxii2/", headers: []string{"Accept", "text/html, */*;q=0.1"}, status: 200},
		"1.6.8_accept_one_of_several":            {target: "/taxii2/", headers: []string{"Accept", "application/json, application/taxii+json; version=2.1"}, status: 200},
		"1.6.8_accept_anything_but_ours":         {target: "/taxii2/", headers: []string{"Accept", "application/taxii+json;version=2.1;q=0, */*"}, status: 406},
		"1.6.8_accept_ours_rather_than_nothing":  {target: "/taxii2/", headers: []string{"Accept", "*/*;q=0, application/taxii+json;version=2.1;q=0.001"}, status: 200},
		"1.6.8_accept_with_charset":              {target: "/taxii2/", headers: []string{"Accept", "application/taxii+json;version=2.1;charset=utf-8"}, status: 200},
		"1.6.8_accept_in_capitals":               {target: "/taxii2/", headers: []string{"Accept", "Application/TAXII+JSON;Version=2.1"}, status: 200},
		"1.6.8_accept_of_a_broken_weight":        {target: "/taxii2/", headers: []string{"Accept", "application/taxii+json;q=high"}, status: 406},
		"1.6.8_accept_never":                     {target: "/taxii2/", headers: []string{"Accept", "application/taxii+json;version=2.1;q=0"}, status: 406},
		"3.1_no_slash_at_the_end":                {target: "/taxii2/feeds", status: 404},
		"3.1_two_slashes":                        {target: "/taxii2//", status: 404},
		"1.6.9_nobody_is_not_authenticated":      {target: "/taxii2/", headers: []string{"caller", ""}, status: 401},
		"1.6.9_nobody_learns_no_path":            {target: "/taxii2/x/y/", headers: []string{"caller", ""}, status: 401},
		"4.1_a_suspended_peer_is_told_so":        {target: "/taxii2/", headers: []string{"caller", "suspended"}, status: 403},
		"3.1_another_method":                     {method: "DELETE", target: objects, status: 405},
		"3.1_posting_what_can_only_be_read":      {method: "POST", target: "/taxii2/", body: "{}", status: 405},
		"3.4_limit_of_nothing":                   {target: objects + "?limit=0", status: 400},
		"3.4_limit_below_nothing":                {target: objects + "?limit=-1", status: 400},
		"3.4_limit_of_letters":                   {target: objects + "?limit=many", status: 400},
		"3.4_limit_empty":                        {target: objects + "?limit=", status: 400},
		"3.4_limit_without_end":                  {target: objects + "?limit=" + strings.Repeat("9", 100), status: 200},
		"3.4_limit_twice":                        {target: objects + "?limit=1&limit=2", status: 400},
		"3.4_added_after_without_fraction":       {target: objects + "?added_after=2026-01-01T00:00:00Z", status: 200},
		"3.4_added_after_in_words":               {target: objects + "?added_after=yesterday", status: 400},
		"3.4.1_match_on_id":                      {target: objects + "?match%5Bid%5D=url--00000000-0000-4000-8000-000000000001", status: 200},
		"3.4.1_match_on_what_is_no_id":           {target: objects + "?match[id]=not-an-id", status: 400},
		"3.4.1_match_on_what_is_no_type":         {target: objects + "?match[type]=URL", status: 400},
		"3.4.1_match_on_too_many":                {target: objects + "?match[type]=" + strings.Repeat("url,", 100) + "url", status: 400},
		"3.4.1_match_on_all_versions":            {target: objects + "?match[version]=all", status: 200},
		"3.4.1_match_on_what_is_no_version":      {target: objects + "?match[version]=newest", status: 400},
		"3.4.1_match_on_all_and_more":            {target: objects + "?match[version]=all,last", status: 400},
		"3.4.1_match_on_a_version_twice":         {target: objects + "?match[version]=last,last", status: 400},
		"3.4_next_twice":                         {target: objects + "?next=a&next=b", status: 400},
		"3.4_added_after_twice":                  {target: objects + "?added_after=2026-01-01T00:00:00Z&added_after=2026-01-01T00:00:00Z", status: 400},
		"3.4.1_match_on_versions":                {target: objects + "?match[version]=first,last,2026-01-01T00:00:00.5Z", status: 200},
		"3.4.1_match_on_what_is_no_spec_version": {target: objects + "?match[spec_version]=latest", status: 400},
		"3.4.1_match_on_spec_versions":           {target: objects + "?match[spec_version]=2.0,2.1", status: 200},
		"3.4.1_an_unknown_filter":                {target: objects + "?colour=red", status: 400},
		"3.4_a_broken_query":                     {target: objects + "?a=%zz", status: 400},
		"3.5_a_cursor_of_nobody":                 {target: objects + "?next=AAAA", status: 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.method == "" {
				tt.method = http.MethodGet
			}
			resp := do(t, newTestHandler(&fake{}), tt.method, tt.target, tt.body, tt.headers...)
			body := text(t, resp)
			if resp.StatusCode != tt.status {
				t.Fatalf("status = %d, want %d; %s", resp.StatusCode, tt.status, body)
			}
			if got := resp.Header.Get("Content-Type"); got != MediaType {
				t.Errorf("content type = %q", got)
			}
			if tt.want != "" && body != tt.want {
				t.Errorf("body = %s, want %s", body, tt.want)
			}
			if tt.status < 400 {
				return
			}
			var e ProtocolError
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Title == "" || e.HTTPStatus != fmt.Sprint(tt.status) {
				t.Errorf("error object = %s, %v", body, err)
			}
			if tt.status == 401 && resp.Header.Get("WWW-Authenticate") == "" || tt.status == 405 && resp.Header.Get("Allow") == "" {
				t.Errorf("headers = %v", resp.Header)
			}
		})
	}
}

func TestUnsupportedFilterIsNamed(t *testing.T) {
	body := text(t, do(t, newTestHandler(&fake{}), "GET", "/taxii2/feeds/collections/both/objects/?match[name]=x", ""))
	if !strings.Contains(body, `"details":{"parameter":"match[name]"}`) {
		t.Errorf("body = %s", body)
	}
}

func TestErrorsOfTheBackend(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		status int
	}{
		"full":     {fmt.Errorf("storing objects: %w", store.ErrFull), 507},
		"gone":     {store.ErrNotFound, 404},
		"anything": {errors.New("secret of the inside"), 500},
	} {
		t.Run(name, func(t *testing.T) {
			resp := do(t, newTestHandler(&fake{fail: tt.err}), "POST", "/taxii2/feeds/collections/both/objects/", `{"objects":[`+urlObject(1)+`]}`)
			if body := text(t, resp); resp.StatusCode != tt.status || strings.Contains(body, "secret") {
				t.Errorf("answer = %d %s", resp.StatusCode, body)
			}
		})
	}
}

// walk reads a collection to its end by next, and returns objects and pages.
func walk(t *testing.T, h http.Handler, query string) (objects []string, pages int) {
	t.Helper()
	next := ""
	for {
		resp := do(t, h, "GET", "/taxii2/feeds/collections/read/objects/?"+query+next, "")
		var e struct {
			More    bool
			Next    string
			Objects []json.RawMessage
		}
		body := text(t, resp)
		if err := json.Unmarshal([]byte(body), &e); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, %v", resp.StatusCode, body, err)
		}
		if got := fmt.Sprint(len(body)); resp.Header.Get("Content-Length") != got {
			t.Errorf("content length = %s, want %s", resp.Header.Get("Content-Length"), got)
		}
		for _, o := range e.Objects {
			objects = append(objects, string(o))
		}
		pages++
		if !e.More {
			return objects, pages
		}
		next = "&next=" + url.QueryEscape(e.Next)
	}
}

func TestPages(t *testing.T) {
	f := &fake{}
	f.fill(t, 53)
	var all []string
	for i := range 53 {
		all = append(all, urlObject(i))
	}
	h := newTestHandler(f)
	for name, tt := range map[string]struct {
		query string
		want  []string
		pages int
	}{
		"one_page_holds_all":               {"", all, 1},
		"one_by_one":                       {"limit=1", all, 53},
		"a_limit_that_divides":             {"limit=53", all, 1},
		"a_limit_that_does_not_divide":     {"limit=10", all, 6},
		"added_after_begins_later":         {"limit=10&added_after=2026-01-01T00:00:00.000030Z", all[30:], 3},
		"added_after_of_a_whole_second":    {"added_after=2026-01-01T00:00:00Z", all, 1},
		"added_after_beyond_microseconds":  {"added_after=2026-01-01T00:00:00.000030999Z", all[30:], 1},
		"added_after_the_end":              {"added_after=2027-01-01T00:00:00Z", nil, 1},
		"match_by_id":                      {"match[id]=url--00000000-0000-4000-8000-000000000007,url--00000000-0000-4000-8000-000000000003", []string{all[3], all[7]}, 1},
		"match_by_id_and_type":             {"match[type]=indicator&match[id]=url--00000000-0000-4000-8000-000000000007", nil, 1},
		"match_by_one_of_two_types_by_ten": {"match[type]=url,indicator&limit=10", all, 6},
	} {
		t.Run(name, func(t *testing.T) {
			got, pages := walk(t, h, tt.query)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			if pages != tt.pages {
				t.Errorf("pages = %d, want %d", pages, tt.pages)
			}
		})
	}
}

func TestPageEndsAtItsSize(t *testing.T) {
	f := &fake{}
	big := strings.Repeat("x", 1<<20-200)
	for i := range 20 {
		f.records = append(f.records, store.Record{
			Object:    store.Object{Raw: []byte(`{"x":"` + big + `"}`)},
			DateAdded: time.Date(2026, 1, 1, 0, 0, 0, (i+1)*1000, time.UTC),
		})
	}
	objects, pages := walk(t, newTestHandler(f), "")
	if len(objects) != 20 || pages != 3 {
		t.Errorf("%d objects in %d pages", len(objects), pages)
	}
}

func TestDateAddedHeaders(t *testing.T) {
	f := &fake{}
	f.fill(t, 5)
	resp := do(t, newTestHandler(f), "GET", "/taxii2/feeds/collections/read/objects/?limit=3", "")
	if first, last := resp.Header.Get("X-TAXII-Date-Added-First"), resp.Header.Get("X-TAXII-Date-Added-Last"); first != "2026-01-01T00:00:00.000001Z" || last != "2026-01-01T00:00:00.000003Z" {
		t.Errorf("first, last = %s, %s", first, last)
	}
	resp = do(t, newTestHandler(&fake{}), "GET", "/taxii2/feeds/collections/read/objects/", "")
	if body := text(t, resp); body != "{}" || resp.Header.Get("X-TAXII-Date-Added-First") != "" {
		t.Errorf("empty page = %s, %v", body, resp.Header)
	}
}

func TestCursorBelongsToItsQuery(t *testing.T) {
	q := store.Query{Limit: 10, Types: []string{"url"}}
	cursor := encodeCursor(readID, q, 42)
	if p, ok := decodeCursor(cursor, readID, store.Query{Limit: 99, Types: []string{"url"}}); !ok || p != 42 {
		t.Errorf("with another limit: %d, %v", p, ok)
	}
	for name, other := range map[string]store.Query{
		"types": {Types: []string{"tool"}}, "no_types": {}, "ids": {Types: []string{"url"}, IDs: []string{"url"}},
		"added_after": {Types: []string{"url"}, AddedAfter: time.Unix(1, 0)},
		"specs":       {Types: []string{"url"}, Specs: []string{"2.1"}}, "newest_spec": {Types: []string{"url"}, NewestSpec: true},
		"versions": {Types: []string{"url"}, Versions: store.Versions{Last: true}},
		"times":    {Types: []string{"url"}, Versions: store.Versions{At: []time.Time{time.Unix(1, 0)}}},
	} {
		if _, ok := decodeCursor(cursor, readID, other); ok {
			t.Errorf("it is good with other %s", name)
		}
	}
	if _, ok := decodeCursor(cursor, bothID, q); ok {
		t.Error("it is good in another collection")
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(encodeCursor(readID, store.Query{}, 42))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := decodeCursor(text, readID, store.Query{}); ok && encodeCursor(readID, store.Query{}, p) != text {
			t.Errorf("%q stands for %d, which is written otherwise", text, p)
		}
	})
}

func TestPost(t *testing.T) {
	const target = "/taxii2/feeds/collections/both/objects/"
	f := &fake{}
	h := newTestHandler(f)
	body := `{"objects":[` + urlObject(1) + `,5,{"id":"not-an-id","type":"x"},` + urlObject(1) + `,` +
		strings.ReplaceAll(urlObject(1), " ", "") + `,{"a":1,"a":2},` + urlObject(2) + `]}`
	resp := do(t, h, "POST", target, body, "Accept", "application/taxii+json")
	answer := text(t, resp)
	var s Status
	if err := json.Unmarshal([]byte(answer), &s); err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %s, %v", resp.StatusCode, answer, err)
	}
	if s.Status != Complete || s.TotalCount != 7 || s.SuccessCount != 3 || s.FailureCount != 4 || s.PendingCount != 0 || len(s.Failures) != 4 {
		t.Errorf("status = %s", answer)
	}
	if s.Failures[1].ID != "not-an-id" || s.Failures[3].ID != "url--00000000-0000-4000-8000-000000000001" || !strings.Contains(s.Failures[3].Message, "other content") {
		t.Errorf("failures = %+v", s.Failures)
	}
	if got, _ := walk(t, h, ""); !cmp.Equal(got, []string{urlObject(1), urlObject(2)}) {
		t.Errorf("stored = %v", got)
	}
	if again := text(t, do(t, h, "GET", "/taxii2/feeds/status/"+s.ID+"/", "")); again != answer {
		t.Errorf("status = %s, want %s", again, answer)
	}
	if other := do(t, h, "GET", "/taxii2/feeds/status/"+s.ID+"/", "", "caller", "charlie"); other.StatusCode != http.StatusNotFound {
		t.Errorf("another caller's status answers %d", other.StatusCode)
	}
}

func TestRequestsAtOnceAreBounded(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		f := &fake{block: make(chan struct{}), entered: make(chan struct{}, MaxRequests+1)}
		h := newTestHandler(f)
		const target = "/taxii2/feeds/collections/read/objects/"
		done := make(chan int, MaxRequests)
		for i := range MaxRequests {
			go func() {
				done <- do(t, h, "GET", target, "", "caller", fmt.Sprint("c", i/MaxRequestsPerCaller)).StatusCode
			}()
		}
		synctest.Wait()
		if len(f.entered) != MaxRequests {
			t.Fatalf("%d requests are under way", len(f.entered))
		}
		resp := do(t, h, "GET", target, "", "caller", "c0")
		if other := do(t, h, "GET", target, "", "caller", "other"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" || other.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("beyond the bound: %d, %d", resp.StatusCode, other.StatusCode)
		}
		close(f.block)
		for range MaxRequests {
			if status := <-done; status != 200 {
				t.Errorf("status = %d", status)
			}
		}
		if resp := do(t, h, "GET", target, "", "caller", "c0"); resp.StatusCode != http.StatusOK {
			t.Errorf("afterwards: %d", resp.StatusCode)
		}
	})
}
