// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certlink/certlink/internal/testbubble"
)

// adds up tells whether a status accounts for each object once, by its counts and by its lists.
func addsUp(s Status, total int) bool {
	return s.TotalCount == total && s.SuccessCount+s.FailureCount+s.PendingCount == total &&
		len(s.Successes) == min(s.SuccessCount, maxDetailsEach) && len(s.Failures) == min(s.FailureCount, maxDetailsEach) && len(s.Pendings) == min(s.PendingCount, maxDetailsEach)
}

// TestAsynchronousStatus is TAXII 2.1 section 4.3, from the POST to what is forgotten.
func TestAsynchronousStatus(t *testing.T) {
	const target = "/taxii2/feeds/collections/both/objects/"
	body := `{"objects":[` + urlObject(1) + `,{"id":"bad"},` + urlObject(2) + `,` + urlObject(1) + `]}`
	begun := func(t *testing.T) (backend slow, h http.Handler, s Status, path string) {
		t.Helper()
		backend = slow{fake: &fake{}, goOn: make(chan error)}
		h = newTestHandler(backend)
		s = statusOf(t, do(t, h, "POST", target, body))
		return backend, h, s, "/taxii2/feeds/status/" + s.ID + "/"
	}
	bubble := func(name string, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { testbubble.Run(t, test) })
	}
	bubble("4.3.1_counts_and_lists_add_up_while_it_is_pending_and_when_it_is_complete", func(t *testing.T) {
		backend, h, s, path := begun(t)
		if s.Status != Pending || !addsUp(s, 4) || s.PendingCount != 3 {
			t.Errorf("begun: %+v", s)
		}
		if again := statusOf(t, do(t, h, "GET", path, "")); again.Status != Pending || !addsUp(again, 4) || again.RequestTimestamp != s.RequestTimestamp {
			t.Errorf("asked meanwhile: %+v", again)
		}
		backend.goOn <- nil
		synctest.Wait()
		end := statusOf(t, do(t, h, "GET", path, ""))
		if end.Status != Complete || !addsUp(end, 4) || end.SuccessCount != 3 || end.RequestTimestamp != s.RequestTimestamp {
			t.Errorf("at the end: %+v", end)
		}
	})
	bubble("4.3_it_is_complete_once_and_stays_so", func(t *testing.T) {
		backend, h, _, path := begun(t)
		backend.goOn <- nil
		synctest.Wait()
		first := text(t, do(t, h, "GET", path, ""))
		if again := text(t, do(t, h, "GET", path, "")); again != first {
			t.Errorf("%s, then %s", first, again)
		}
	})
	bubble("4.3_of_another_client_it_is_not_there", func(t *testing.T) {
		backend, h, s, path := begun(t)
		foreign := do(t, h, "GET", path, "", "caller", "charlie")
		never := do(t, h, "GET", "/taxii2/feeds/status/00000000-0000-4000-8000-000000000000/", "", "caller", "charlie")
		if foreign.StatusCode != http.StatusNotFound || text(t, foreign) != text(t, never) {
			t.Errorf("pending: %d, told from one that never was", foreign.StatusCode)
		}
		backend.goOn <- nil
		synctest.Wait()
		if resp := do(t, h, "GET", path, "", "caller", "charlie"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("complete: %d", resp.StatusCode)
		}
		if resp := do(t, h, "GET", path, "", "caller", ""); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("of nobody: %d", resp.StatusCode)
		}
		if resp := do(t, h, "GET", path, ""); resp.StatusCode != http.StatusOK || statusOf(t, resp).ID != s.ID {
			t.Errorf("of its own client: %d", resp.StatusCode)
		}
	})
	bubble("4.3_after_a_restart_it_is_not_there_and_sending_again_is_safe", func(t *testing.T) {
		backend, _, _, path := begun(t)
		backend.goOn <- nil
		synctest.Wait()
		restarted := newTestHandler(backend.fake)
		if resp := do(t, restarted, "GET", path, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("status = %d", resp.StatusCode)
		}
		if s := statusOf(t, do(t, restarted, "POST", target, body)); s.Status != Complete || s.SuccessCount != 3 || len(backend.records) != 2 {
			t.Errorf("sent again: %+v, %d records", s, len(backend.records))
		}
	})
	bubble("4.3_it_is_read_and_nothing_else", func(t *testing.T) {
		backend, h, _, path := begun(t)
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			if resp := do(t, h, method, path, ""); resp.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(resp.Header.Get("Allow"), "GET") {
				t.Errorf("%s: %d", method, resp.StatusCode)
			}
		}
		if resp := do(t, h, "GET", path, "", "Accept", "text/html"); resp.StatusCode != http.StatusNotAcceptable {
			t.Errorf("for people: %d", resp.StatusCode)
		}
		backend.goOn <- nil
		synctest.Wait()
	})
	t.Run("4.3.1_it_counts_all_and_names_a_thousand", func(t *testing.T) {
		var all []string
		for n := range maxDetailsEach + 7 {
			all = append(all, urlObject(n))
		}
		for range maxDetailsEach + 3 {
			all = append(all, `{}`)
		}
		s := statusOf(t, do(t, newTestHandler(&fake{}), "POST", target, `{"objects":[`+strings.Join(all, ",")+`]}`))
		if !addsUp(s, len(all)) || s.SuccessCount != maxDetailsEach+7 || s.FailureCount != maxDetailsEach+3 {
			t.Errorf("%d, %d of %d, with %d and %d named", s.SuccessCount, s.FailureCount, s.TotalCount, len(s.Successes), len(s.Failures))
		}
	})
	t.Run("4.3.1_a_fork_is_a_failure_that_says_what_to_do", func(t *testing.T) {
		f := &fake{}
		h := newTestHandler(f)
		do(t, h, "POST", target, `{"objects":[`+tool(toolID, "2.1", 3)+`]}`)
		s := statusOf(t, do(t, h, "POST", target, `{"objects":[`+strings.Replace(tool(toolID, "2.1", 3), `"type"`, `"x_other":1,"type"`, 1)+`]}`))
		if !addsUp(s, 1) || s.FailureCount != 1 || s.Failures[0].ID != toolID || !strings.Contains(s.Failures[0].Message, `"modified"`) {
			t.Errorf("status = %+v", s)
		}
	})
}

// TestMarkingsAnswers is the extension that tells what a caller may see, as section 8.2.1 allows it.
func TestMarkingsAnswers(t *testing.T) {
	h := newTestHandler(telling{&fake{}})
	of := func(collection string) string { return "/taxii2/feeds/collections/" + collection + "/markings/" }
	for name, c := range map[string]struct {
		method, target string
		headers        []string
		want           int
	}{
		"8.2.1_of_what_one_may_not_see_there_is_none":        {"GET", of("never"), nil, 404},
		"8.2.1_of_what_one_may_not_read_it_is_refused":       {"GET", of("write"), nil, 403},
		"8.2.1_it_ends_with_a_slash":                         {"GET", strings.TrimSuffix(of("read"), "/"), nil, 404},
		"8.2.1_nothing_is_behind_it":                         {"GET", of("read") + "x/", nil, 404},
		"8.2.1_nobody_is_told_nothing":                       {"GET", of("read"), []string{"caller", ""}, 401},
		"8.2.1_a_suspended_caller_is_told_nothing":           {"GET", of("read"), []string{"caller", "suspended"}, 403},
		"8.2.1_it_is_not_written":                            {"POST", of("read"), nil, 405},
		"8.2.1_it_is_TAXII":                                  {"GET", of("read"), []string{"Accept", "text/html"}, 406},
		"8.2.1_it_is_there_under_the_alias_and_under_the_id": {"GET", of(readID), nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			resp := do(t, h, c.method, c.target, "", c.headers...)
			if resp.StatusCode != c.want || resp.Header.Get("Content-Type") != MediaType {
				t.Fatalf("status = %d %q, want %d", resp.StatusCode, resp.Header.Get("Content-Type"), c.want)
			}
			var e ProtocolError
			if err := json.Unmarshal([]byte(text(t, resp)), &e); err != nil || c.want >= 400 && (e.Title == "" || e.HTTPStatus != strconv.Itoa(c.want)) {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
	t.Run("7.1_only_what_may_be_read_links_to_it", func(t *testing.T) {
		var list Collections
		if err := json.Unmarshal([]byte(text(t, do(t, h, "GET", "/taxii2/feeds/collections/", ""))), &list); err != nil || len(list.Collections) == 0 {
			t.Fatal(err)
		}
		for _, c := range list.Collections {
			if (c.Markings != "") != c.CanRead {
				t.Errorf("%s links to %q", c.Alias, c.Markings)
			}
		}
		if text := text(t, do(t, newTestHandler(&fake{}), "GET", "/taxii2/feeds/collections/", "")); strings.Contains(text, "x_certlink_markings") {
			t.Errorf("where nobody tells them: %s", text)
		}
	})
}

// TestClientOfTheStandard is the client's half: sections 8.4 and 8.5, and what they refer to.
func TestClientOfTheStandard(t *testing.T) {
	type seen struct {
		method, path, accept, contentType string
	}
	var asked []seen
	answer := http.HandlerFunc(nil)
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, seen{r.Method, r.URL.Path, r.Header.Get("Accept"), r.Header.Get("Content-Type")})
		answer(w, r)
	}))
	l := Location{Collection: Collection{ID: "c1"}, Objects: "/root/collections/c1/objects/"}
	run := func(name string, with http.HandlerFunc, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			asked, answer = nil, with
			test(t)
		})
	}
	run("3.1_a_POST_says_what_it_sends_and_what_it_accepts", answers(202, MediaType, `{"id":"s1","status":"complete"}`), func(t *testing.T) {
		_, err := c.Add(t.Context(), l, [][]byte{[]byte(urlObject(1))})
		want := []seen{{"POST", l.Objects, MediaType, MediaType}}
		if err != nil || !slices.Equal(asked, want) {
			t.Errorf("asked %+v, %v", asked, err)
		}
	})
	run("4.3_a_status_is_asked_for_below_the_API_root", answers(200, MediaType, `{"id":"s 1/","status":"pending","total_count":2,"success_count":0,"failure_count":1,"pending_count":1,"failures":[{"id":"x"}],"pendings":[{"id":"y"}]}`), func(t *testing.T) {
		s, err := c.Status(t.Context(), l, "s 1/")
		if err != nil || s.Status != Pending || s.FailureCount != 1 || len(s.Pendings) != 1 || asked[0].path != "/root/status/s 1//" {
			t.Errorf("asked %+v: %+v, %v", asked, s, err)
		}
	})
	run("4.3_a_forgotten_status_is_told_apart_from_a_failure", answers(404, MediaType, `{"title":"gone"}`), func(t *testing.T) {
		if _, err := c.Status(t.Context(), l, "s1"); !isStatus(err, http.StatusNotFound) {
			t.Errorf("error = %v", err)
		}
	})
	run("4.3.1_a_status_of_another_word_is_no_status", answers(200, MediaType, `{"id":"s1","status":"done"}`), func(t *testing.T) {
		if _, err := c.Status(t.Context(), l, "s1"); err == nil || !strings.Contains(err.Error(), "neither complete nor pending") {
			t.Errorf("error = %v", err)
		}
	})
	run("1.6.9_not_authenticated_is_said_and_not_repeated", answers(401, MediaType, `{"title":"Who are you?"}`, "WWW-Authenticate", "Basic"), func(t *testing.T) {
		if _, err := c.Root(t.Context(), l); !isStatus(err, http.StatusUnauthorized) || len(asked) != 1 {
			t.Errorf("asked %d times: %v", len(asked), err)
		}
	})
	run("3.6.1_an_error_has_the_same_words_each_time", answers(500, MediaType, `{"title":"Broken","description":"disk","error_id":"event-7","error_code":"E9","http_status":"500","external_details":"https://x.example/","details":{"a":["b"]}}`), func(t *testing.T) {
		_, err := c.Root(t.Context(), l)
		if !isStatus(err, http.StatusInternalServerError) || err.Error() != `500 Broken: disk` {
			t.Errorf("error = %v", err)
		}
	})
	run("4.2.1_how_much_a_POST_may_have_is_read_from_the_API_root", answers(200, MediaType, `{"title":"r","versions":["application/taxii+json;version=2.1"],"max_content_length":1000}`), func(t *testing.T) {
		if r, err := c.Root(t.Context(), l); err != nil || r.MaxContentLength != 1000 || asked[0].path != "/root/" {
			t.Errorf("root = %+v, %v", r, err)
		}
	})
}
