// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

func TestCredentialsAreReadForEachRequest(t *testing.T) {
	var got atomic.Value
	s := serveTLS(t, testca.Leaf{}, func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) })
	c := s.client(t, Options{})
	for _, tt := range []struct {
		name  string
		keys  map[string]string
		want  string
		fault string
	}{
		{"none", nil, "", ""},
		{"Basic", map[string]string{"username": "alfa\n", "password": "pass:wört\r\n"}, "Basic YWxmYTpwYXNzOnfDtnJ0", ""},
		{"a_token", map[string]string{"token": " abc\n"}, "Bearer abc", ""},
		{"a_whole_header", map[string]string{"authorization": "misp-key\n"}, "misp-key", ""},
		{"a_name_without_password", map[string]string{"username": "alfa"}, "", "go together"},
		{"two_at_once", map[string]string{"token": "geheim", "authorization": "geheim"}, "", "only one"},
		{"two_lines", map[string]string{"token": "geheim\nX-Other: 1"}, "", "charlie/token holds more than one line"},
		{"a_name_with_a_colon", map[string]string{"username": "a:b", "password": "geheim"}, "", "colon"},
		{"an_empty_one", map[string]string{"token": ""}, "", "charlie/token is empty"},
		{"a_huge_one", map[string]string{"token": strings.Repeat("geheim", 1<<16)}, "", "more than"},
		{"a_CA_that_is_none", map[string]string{"ca.crt": "geheim"}, "", "charlie/ca.crt holds no certificate"},
		{"a_certificate_without_key", map[string]string{"tls.crt": "geheim"}, "", "go together"},
		{"a_pair_that_is_none", map[string]string{"tls.crt": "geheim", "tls.key": "geheim"}, "", "no certificate with its key"},
		{"mended", map[string]string{"token": "abc"}, "Bearer abc", ""},
	} {
		got.Store("")
		s.secret(t, tt.keys)
		_, err := read(t, c, 100)
		switch {
		case tt.fault == "" && (err != nil || got.Load() != tt.want):
			t.Errorf("%s: Authorization = %q, %v, want %q", tt.name, got.Load(), err, tt.want)
		case tt.fault != "" && (!errors.Is(err, ErrCredentials) || !strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), "geheim")):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.fault)
		case tt.fault != "" && CauseOf(err) != CauseCredentials:
			t.Errorf("%s: cause %s", tt.name, CauseOf(err))
		}
	}
}

func TestASecretThatIsGoneIsNotGoneAround(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	for name, cfg := range map[string]config.Remote{
		"a_directory": {URL: server.URL, Directory: t.TempDir() + "/charlie"},
		"a_file":      {URL: server.URL, TokenFile: t.TempDir() + "/charlie/token"},
	} {
		_, err := read(t, client(t, cfg, Options{}), 100)
		if !errors.Is(err, ErrCredentials) || !strings.Contains(err.Error(), "charlie") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if asked.Load() > 0 {
		t.Error("the server was asked without credentials")
	}
}

func TestTheServerIsChecked(t *testing.T) {
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }
	old := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }
	for name, tt := range map[string]struct {
		leaf  testca.Leaf
		tls   func(*tls.Config)
		dir   bool
		cause Cause
	}{
		"by_its_CA":              {testca.Leaf{}, func(*tls.Config) {}, true, ""},
		"with_another_CA":        {testca.Leaf{}, func(*tls.Config) {}, false, CauseUntrusted},
		"after_its_time_is_over": {testca.Leaf{NotBefore: time.Now().AddDate(0, -2, 0), NotAfter: time.Now().Add(-time.Hour)}, func(*tls.Config) {}, true, CauseUntrusted},
		"with_an_old_TLS":        {testca.Leaf{}, old, true, CauseUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveTLS(t, tt.leaf, ok, tt.tls)
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			if !tt.dir {
				other := testca.New(t, "alfa.example")
				if err := testca.WriteVolume(s.dir, map[string][]byte{"ca.crt": []byte(other.Bundle())}); err != nil {
					t.Fatal(err)
				}
			}
			text, err := read(t, s.client(t, Options{}), 100)
			if tt.cause == "" && (err != nil || text != "ok") || tt.cause != "" && (err == nil || CauseOf(err) != tt.cause) {
				t.Errorf("%q, %v (%s), want %s", text, err, CauseOf(err), tt.cause)
			}
			if tt.cause == CauseUntrusted && !strings.Contains(Explain(err), "ca.crt") {
				t.Errorf("%q does not say what to do", Explain(err))
			}
		})
	}
}

func TestAClientCertificateIsShownAndReplaced(t *testing.T) {
	ours := testca.New(t, "alfa.example")
	pool := x509.NewCertPool()
	pool.AddCert(ours.Root)
	var serial atomic.Value
	s := serveTLS(t, testca.Leaf{}, func(_ http.ResponseWriter, r *http.Request) {
		serial.Store(r.TLS.PeerCertificates[0].SerialNumber.String())
	}, func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool })
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	c := s.client(t, Options{})
	if _, err := read(t, c, 100); err == nil {
		t.Error("the server takes us without a certificate")
	}
	for range 2 {
		pair := ours.Leaf(t, testca.Leaf{})
		s.secret(t, map[string]string{"tls.crt": string(pair.CertPEM), "tls.key": string(pair.KeyPEM)})
		if _, err := read(t, c, 100); err != nil || serial.Load() != pair.Chain[0].SerialNumber.String() {
			t.Errorf("the server saw %v, %v", serial.Load(), err)
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

func TestAnswersAreBounded(t *testing.T) {
	pack := func(n int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(make([]byte, n))
		_ = z.Close()
		return b.Bytes()
	}
	bomb := pack(100 << 20) // beforehand: a server that packs it while it is asked may seem to stall
	plain := func(w http.ResponseWriter, n int) { _, _ = w.Write(make([]byte, n)) }
	packed := func(w http.ResponseWriter, body []byte) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(body)
	}
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter)
		limit  int64
		length int64
		want   error
	}{
		"as_long_as_allowed":         {func(w http.ResponseWriter) { plain(w, 1000) }, 1000, 1000, nil},
		"a_byte_longer":              {func(w http.ResponseWriter) { plain(w, 1001) }, 1000, 0, ErrTooLong},
		"packed":                     {func(w http.ResponseWriter) { packed(w, pack(100_000)) }, 100_000, 100_000, nil},
		"packed_and_a_byte_longer":   {func(w http.ResponseWriter) { packed(w, pack(100_001)) }, 100_000, 0, ErrTooLong},
		"a_bomb":                     {func(w http.ResponseWriter) { packed(w, bomb) }, 1 << 40, 0, ErrBomb},
		"packed_and_cut":             {func(w http.ResponseWriter) { packed(w, pack(100_000)[:50]) }, 1 << 20, 0, io.ErrUnexpectedEOF},
		"said_to_be_packed_and_none": {func(w http.ResponseWriter) { packed(w, []byte("[]")) }, 1 << 20, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) }))
			defer server.Close()
			resp, err := client(t, config.Remote{URL: server.URL}, Options{}).Get(t.Context(), "", tt.limit, Validators{})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			n, err := io.Copy(io.Discard, resp.Body)
			if !errors.Is(err, tt.want) || tt.want == nil && n != tt.length {
				t.Errorf("%d bytes, %v, want %v", n, err, tt.want)
			}
			if _, again := resp.Body.Read(make([]byte, 1)); tt.want != nil && !errors.Is(again, tt.want) {
				t.Errorf("then %v", again)
			}
			if tt.want == nil && resp.Total >= 0 && resp.Received() != resp.Total {
				t.Errorf("received %d of %d", resp.Received(), resp.Total)
			}
		})
	}
}

func TestSilenceAndSlownessEnd(t *testing.T) {
	for name, send := range map[string]func(w http.ResponseWriter, end <-chan struct{}){
		"before_the_answer": func(_ http.ResponseWriter, end <-chan struct{}) { <-end },
		"in_the_answer": func(w http.ResponseWriter, end <-chan struct{}) {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
			<-end
		},
		"byte_by_byte": func(w http.ResponseWriter, end <-chan struct{}) {
			tick := time.NewTicker(short / 20)
			defer tick.Stop()
			for {
				select {
				case <-end:
					return
				case <-tick.C:
					_, _ = io.WriteString(w, "x")
					_ = http.NewResponseController(w).Flush()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			end := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { send(w, end) }))
			defer server.Close()
			defer close(end)
			_, err := read(t, client(t, config.Remote{URL: server.URL}, Options{Stall: short}), 1<<20)
			if !errors.Is(err, ErrStalled) || !strings.Contains(Explain(err), "too little") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestACallerMayTakeItsTime(t *testing.T) {
	next := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 2000))
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = w.Write(make([]byte, 2000))
	}))
	defer server.Close()
	resp, err := client(t, config.Remote{URL: server.URL}, Options{Stall: short}).Get(t.Context(), "", 1<<20, Validators{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * short) // the caller is busy
	close(next)
	if rest, err := ReadAll(resp); err != nil || len(rest) != 2000 {
		t.Errorf("%d bytes, %v", len(rest), err)
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

func TestErrorsAndLogsTellNoSecret(t *testing.T) {
	var log bytes.Buffer
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	c := client(t, config.Remote{URL: server.URL + "/geheim?key=geheim"}, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	_, cut := read(t, c, 100)
	server.Close()
	_, refused := read(t, c, 100)
	for _, err := range []error{cut, refused} {
		if err == nil || strings.Contains(err.Error(), "geheim") || !strings.Contains(err.Error(), c.Host()) {
			t.Errorf("%v", err)
		}
	}
	if !strings.Contains(log.String(), "retrying request") || strings.Contains(log.String(), "geheim") {
		t.Errorf("the log:\n%s", log.String())
	}
	if a, b := Explain(refused), Explain(fmt.Errorf("again: %w", refused)); a != b || !strings.Contains(a, "connection refused: see whether") {
		t.Errorf("%q and %q", a, b)
	}
}

func TestTheContextEndsARequest(t *testing.T) {
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer server.Close()
	defer close(end)
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if _, err := client(t, config.Remote{URL: server.URL}, Options{}).Get(ctx, "", 100, Validators{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
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
