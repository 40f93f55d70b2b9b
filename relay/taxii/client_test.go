// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/stix"
)

// asBravo lets every request in as bravo.
func asBravo(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, "bravo")))
	})
}

func serve(t *testing.T, h http.Handler) *Client {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	c, err := NewClient(ClientConfig{HTTP: server.Client(), Server: server.URL, Stall: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustFind(t *testing.T, c *Client, name string) Location {
	t.Helper()
	l, err := c.Find(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// readPage reads a page to its end, or error.
func readPage(p *Page) (objects []string, err error) {
	defer p.Close()
	for {
		o, err := p.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return objects, err
		}
		objects = append(objects, string(o.Raw))
	}
}

func TestClientReadsWhatTheHandlerServes(t *testing.T) {
	f := &fake{}
	f.fill(t, 25)
	c := serve(t, asBravo(newTestHandler(f)))
	for _, name := range []string{readID, "read"} {
		l := mustFind(t, c, name)
		q := PageQuery{Limit: 10}
		var got []string
		for {
			p, err := c.Objects(t.Context(), l, q)
			if err != nil {
				t.Fatal(err)
			}
			objects, err := readPage(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, objects...)
			if !p.More() {
				if p.LastAdded() != "2026-01-01T00:00:00.000025Z" {
					t.Errorf("last added = %q", p.LastAdded())
				}
				break
			}
			q.Next = p.Next()
		}
		var want []string
		for i := range 25 {
			want = append(want, urlObject(i))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("objects (-want +got):\n%s", diff)
		}
	}
	if _, err := c.Find(t.Context(), "other"); !errors.Is(err, ErrNoCollection) {
		t.Errorf("error of another collection = %v", err)
	}
	var e *ProtocolError
	if _, err := c.Objects(t.Context(), Location{Objects: "/taxii2/feeds/collections/write/objects/"}, PageQuery{}); !errors.As(err, &e) || e.Status != 403 || !strings.Contains(e.Description, "not read") {
		t.Errorf("error of a collection that cannot be read = %v", err)
	}
}

// answers serves one fixed answer for every path.
func answers(status int, contentType, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestClientRefuses(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a_page_for_people":              {answers(200, "text/html", "<html>"), `content type is "text/html"`},
		"TAXII_2.0":                      {answers(200, "application/vnd.oasis.taxii+json; version=2.0", "{}"), "not TAXII 2.1"},
		"what_is_no_JSON":                {answers(200, MediaType, "<html>"), "not TAXII 2.1"},
		"a_discovery_without_end":        {answers(200, MediaType, `{"title":"`+strings.Repeat("x", maxSmallBytes)+`"}`), "too long"},
		"a_redirect":                     {answers(302, MediaType, "", "Location", other.URL), "302"},
		"an_API_root_on_another_server":  {answers(200, MediaType, `{"title":"x","api_roots":["`+other.URL+`/x/"]}`), "another server"},
		"an_error_with_text_to_cut":      {answers(400, MediaType, `{"title":"`+strings.Repeat("x", 1000)+`\u001b[31m"}`), "400 " + strings.Repeat("x", maxQuoted) + "…"},
		"an_error_of_a_proxy":            {answers(502, "text/html", "<html>", "Retry-After", "3600"), "502 Bad Gateway"},
		"a_server_that_asks_for_an_hour": {answers(503, MediaType, `{"title":"Later"}`, "Retry-After", "3600"), "503 Later"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, tt.answer).Find(t.Context(), "read")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q in it", err, tt.want)
			}
			if err != nil && len(err.Error()) > 600 {
				t.Errorf("error has %d bytes", len(err.Error()))
			}
		})
	}
	if elsewhere.Load() > 0 {
		t.Error("another server was asked")
	}
}

func TestClientLooksIntoEveryRoot(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/taxii2/", answers(200, MediaType, `{"title":"x","default":"/a/","api_roots":["/broken/","/a/","/b%20c"]}`))
	mux.HandleFunc("/broken/", answers(404, "text/plain", ""))
	mux.HandleFunc("/a/collections/", answers(200, MediaType, `{}`))
	mux.HandleFunc("/b%20c/collections/", answers(200, MediaType, `{"collections":[{"id":"x/y","title":"","can_read":true,"can_write":false}]}`))
	l := mustFind(t, serve(t, mux), "x/y")
	if l.Objects != "/b%20c/collections/x%2Fy/objects/" {
		t.Errorf("path = %q", l.Objects)
	}
}

func TestClientRepeatsWhatPasses(t *testing.T) {
	var n atomic.Int32
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			answers(503, MediaType, `{"title":"Later"}`)(w, r)
		case 2:
			panic(http.ErrAbortHandler)
		default:
			answers(200, MediaType, `{"objects":[`+urlObject(1)+`]}`)(w, r)
		}
	}))
	p, err := c.Objects(t.Context(), Location{Objects: "/x/"}, PageQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if objects, err := readPage(p); err != nil || len(objects) != 1 || n.Load() != 3 {
		t.Errorf("%d objects after %d requests, %v", len(objects), n.Load(), err)
	}
}

func TestClientGivesUpOnSilence(t *testing.T) {
	for name, begin := range map[string]string{"before_the_answer": "", "in_the_answer": `{"objects":[` + urlObject(1) + `,`} {
		t.Run(name, func(t *testing.T) {
			hang := make(chan struct{})
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if begin != "" {
					w.Header().Set("Content-Type", MediaType)
					_, _ = io.WriteString(w, begin)
					_ = http.NewResponseController(w).Flush()
				}
				<-hang
			}))
			defer server.Close()
			defer close(hang)
			c, err := NewClient(ClientConfig{HTTP: server.Client(), Server: server.URL, Stall: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.Objects(t.Context(), Location{Objects: "/x/"}, PageQuery{})
			if err == nil {
				_, err = readPage(p)
			}
			if !errors.Is(err, ErrStalled) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestClientSeesWhereAPageWasCut(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", MediaType)
		w.Header().Set("Content-Length", "10000")
		_, _ = io.WriteString(w, `{"objects":[`+urlObject(1)+`,`+urlObject(2))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	p, err := c.Objects(t.Context(), Location{Objects: "/x/"}, PageQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if objects, err := readPage(p); !errors.Is(err, io.ErrUnexpectedEOF) || len(objects) != 2 {
		t.Errorf("%d objects, %v", len(objects), err)
	}
}

func TestClientSkipsOneBadObject(t *testing.T) {
	c := serve(t, answers(200, MediaType, `{"objects":[{"id":"bad"},`+urlObject(1)+`]}`, "X-TAXII-Date-Added-Last", "a while ago"))
	p, err := c.Objects(t.Context(), Location{Objects: "/x/"}, PageQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var bad *stix.ObjectError
	if _, err := p.Read(); !errors.As(err, &bad) {
		t.Errorf("first = %v", err)
	}
	if o, err := p.Read(); err != nil || string(o.Raw) != urlObject(1) {
		t.Errorf("second = %s, %v", o.Raw, err)
	}
	if p.LastAdded() != "" {
		t.Errorf("last added = %q", p.LastAdded())
	}
}

func TestClientAsksAsTheStandardWants(t *testing.T) {
	var query, accept string
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, accept = r.URL.RawQuery, r.Header.Get("Accept")
		answers(200, MediaType, `{}`)(w, r)
	}))
	p, err := c.Objects(t.Context(), Location{Objects: "/x/"}, PageQuery{AddedAfter: "2026-01-01T00:00:00.000001Z", Next: "a&b", Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	if query != "added_after=2026-01-01T00%3A00%3A00.000001Z&limit=5&match%5Bspec_version%5D=2.0%2C2.1&match%5Bversion%5D=all&next=a%26b" || accept != MediaType {
		t.Errorf("query, accept = %s, %s", query, accept)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-1": 0, "soon": 0, "999999999": time.Hour,
		"Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Wed, 31 Dec 2025 00:00:00 GMT": 0,
	} {
		if got := retryAfter(&http.Response{Header: http.Header{"Retry-After": {text}}}, now); got != want {
			t.Errorf("%q = %v, want %v", text, got, want)
		}
	}
	if got := retryAfter(nil, now); got != 0 {
		t.Errorf("no answer = %v", got)
	}
}

func TestPause(t *testing.T) {
	asked := &http.Response{Header: http.Header{"Retry-After": {"7"}}}
	if got := pause(firstWait, longestWait, 0, asked); got != 7*time.Second {
		t.Errorf("asked for 7 s, pause = %v", got)
	}
	for attempt := range 70 {
		if got := pause(firstWait, longestWait, attempt, nil); got < firstWait/2 || got > longestWait {
			t.Errorf("attempt %d: pause = %v", attempt, got)
		}
	}
}

func TestNewClientRefuses(t *testing.T) {
	for name, cfg := range map[string]ClientConfig{
		"no_server": {HTTP: &http.Client{}}, "no_host": {HTTP: &http.Client{}, Server: "bravo.example"}, "no_client": {Server: "https://bravo.example"},
	} {
		if _, err := NewClient(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
