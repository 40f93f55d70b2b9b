// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
)

func TestGetReadsWhatIsServed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.String()+" "+r.UserAgent())
	}))
	defer server.Close()
	for _, tt := range []struct{ url, path, want string }{
		{"/a?b=c", "", "GET /a?b=c"},
		{"/a", "b/c%2Fd.json", "GET /a/b/c%2Fd.json"},
		{"/a/?x=y", "b", "GET /a/b"},
		{"", "/b/", "GET /b/"},
		{"", "b", "GET /b"},
	} {
		c := client(t, config.Remote{URL: server.URL + tt.url}, Options{Version: "v1.2.3"})
		resp, err := c.Get(t.Context(), tt.path, 100, Validators{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := ReadAll(resp)
		if want := tt.want + " certlink/v1.2.3"; err != nil || string(text) != want {
			t.Errorf("%q below %q = %q, %v, want %q", tt.path, tt.url, text, err, want)
		}
	}
}

func TestPathsNeverLeaveTheServer(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	c := client(t, config.Remote{URL: server.URL + "/feed/"}, Options{})
	for _, path := range []string{"../x", "a/../../x", "./x", "a\x00b", "%zz", "a%0d%0ab"} {
		if _, err := c.Get(t.Context(), path, 100, Validators{}); err == nil {
			t.Errorf("%q is accepted", path)
		}
	}
	if _, err := c.Do(t.Context(), Request{}); err == nil {
		t.Error("an answer without bound is accepted")
	}
	if asked.Load() > 0 {
		t.Errorf("%d requests were made", asked.Load())
	}
	// What looks like another host is a path of this one.
	if _, err := c.Get(t.Context(), "//charlie.example/x", 100, Validators{}); err != nil || asked.Load() != 1 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
}

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "charlie.example", "ftp://charlie.example", "https://", "https://alfa:geheim@charlie.example", "https://charlie.example/%zz?geheim"} {
		_, err := New(config.Remote{URL: url}, Options{})
		if err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	var target atomic.Value
	s := serveTLS(t, testca.Leaf{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/x" {
			http.Redirect(w, r, target.Load().(string), http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	})
	s.secret(t, map[string]string{"token": "geheim"})
	c := s.client(t, Options{})
	target.Store("/y")
	if text, err := read(t, c, 100); err != nil || text != "Bearer geheim" {
		t.Errorf("on the same host: %q, %v", text, err)
	}
	for name, to := range map[string]string{
		"to_another_host": other.URL, "to_http": strings.Replace(s.URL, "https:", "http:", 1) + "/y",
		"to_another_name": strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + "/y", "round_and_round": "/x",
		"with_user_information": strings.Replace(s.URL, "https://", "https://a:b@", 1) + "/y",
	} {
		target.Store(to)
		if _, err := read(t, c, 100); !errors.Is(err, ErrRedirect) || CauseOf(err) != CauseAnswer {
			t.Errorf("%s: %v", name, err)
		}
	}
	target.Store("/y")
	if _, err := c.Do(t.Context(), Request{Method: http.MethodPost, Body: []byte("x"), MaxBytes: 100}); !errors.Is(err, ErrRedirect) {
		t.Errorf("a body: %v", err)
	}
	if elsewhere.Load() > 0 {
		t.Error("another host was asked")
	}
}

func TestWhatPassesIsRepeated(t *testing.T) {
	type step struct {
		status int
		after  string
	}
	for name, tt := range map[string]struct {
		request Request
		steps   []step
		asked   int32
		status  int
		wait    time.Duration
	}{
		"a_server_that_is_busy":             {Request{}, []step{{503, ""}, {502, ""}, {200, ""}}, 3, 200, 0},
		"a_server_that_asks_for_a_second":   {Request{}, []step{{429, "1"}, {200, ""}}, 2, 200, time.Second},
		"a_server_that_asks_for_an_hour":    {Request{}, []step{{429, "3600"}}, 1, 429, 0},
		"a_connection_that_is_cut":          {Request{}, []step{{0, ""}, {200, ""}}, 2, 200, 0},
		"a_fault_of_the_server":             {Request{}, []step{{500, ""}}, 1, 500, 0},
		"a_POST_is_not":                     {Request{Method: "POST", Body: []byte("x")}, []step{{503, ""}}, 1, 503, 0},
		"a_POST_that_was_not_looked_at":     {Request{Method: "POST", Body: []byte("x")}, []step{{429, ""}, {200, ""}}, 2, 200, 0},
		"a_POST_that_may_be_sent_twice":     {Request{Method: "POST", Body: []byte("x"), Idempotent: true}, []step{{0, ""}, {503, ""}, {200, ""}}, 3, 200, 0},
		"a_password_that_is_wrong_is_wrong": {Request{}, []step{{401, ""}}, 1, 401, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			var bodies atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := tt.steps[min(int(asked.Add(1)), len(tt.steps))-1]
				if text, _ := io.ReadAll(r.Body); string(text) == string(tt.request.Body) {
					bodies.Add(1)
				}
				if s.status == 0 {
					panic(http.ErrAbortHandler)
				}
				if s.after != "" {
					w.Header().Set("Retry-After", s.after)
				}
				w.WriteHeader(s.status)
			}))
			defer server.Close()
			c := client(t, config.Remote{URL: server.URL + "/?key=geheim"}, Options{})
			begin := time.Now()
			tt.request.MaxBytes = 100
			resp, err := c.Do(t.Context(), tt.request)
			got := 0
			var told *StatusError
			switch {
			case err == nil:
				got = resp.Status
				_ = resp.Body.Close()
			case errors.As(err, &told):
				got = told.Status
				if tt.steps[0].after == "3600" && told.RetryAfter != time.Hour {
					t.Errorf("Retry-After = %v", told.RetryAfter)
				}
			}
			if got != tt.status || asked.Load() != tt.asked || bodies.Load() != tt.asked || time.Since(begin) < tt.wait {
				t.Errorf("status %d after %d requests in %v (%v), want %d after %d", got, asked.Load(), time.Since(begin), err, tt.status, tt.asked)
			}
			if err != nil && strings.Contains(fmt.Sprint(err, Explain(err)), "geheim") {
				t.Errorf("%v tells a secret", err)
			}
		})
	}
}

func TestWhatHasNotChangedIsNotReadAgain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "text")
	}))
	defer server.Close()
	c := client(t, config.Remote{URL: server.URL}, Options{})
	first, err := c.Get(t.Context(), "", 100, Validators{})
	if err != nil || first.NotModified() {
		t.Fatal(err)
	}
	if text, err := ReadAll(first); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	second, err := c.Get(t.Context(), "", 100, ValidatorsOf(first))
	if err != nil || !second.NotModified() {
		t.Fatalf("%v", err)
	}
	_ = second.Body.Close()
}

func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	_, err := read(t, client(t, config.Remote{URL: "http://nobody.invalid/"}, Options{}), 100)
	if err == nil || asked.Load() > 0 {
		t.Errorf("%v after %d requests to the proxy", err, asked.Load())
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("/a", "b")
	f.Add("/a/", "/../b")
	f.Add("", "//x/%2e%2e/y?z#q")
	f.Fuzz(func(t *testing.T, base, path string) {
		c, err := New(config.Remote{URL: "https://charlie.example:8443" + base}, Options{})
		if err != nil || c.Host() != "charlie.example:8443" {
			return
		}
		u, err := c.resolve(Request{Path: path})
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.Host != "charlie.example:8443" || u.User != nil {
			t.Errorf("%q below %q is %s", path, base, u)
		}
		if again, err := u.Parse(u.String()); err != nil || !c.owns(again) {
			t.Errorf("%q below %q leads to %v, %v", path, base, again, err)
		}
	})
}
