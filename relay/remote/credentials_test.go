// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
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
