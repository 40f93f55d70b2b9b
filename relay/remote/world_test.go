// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is an HTTPS server with a certificate of its own CA, and a directory as of a
// mounted Secret with that CA.
type served struct {
	*httptest.Server
	ca  *testca.CA
	dir string
}

func serveTLS(t *testing.T, leaf testca.Leaf, h http.HandlerFunc, change ...func(*tls.Config)) *served {
	t.Helper()
	s := &served{ca: testca.New(t, "charlie.example"), dir: filepath.Join(t.TempDir(), "charlie")}
	s.Server = httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{s.ca.Leaf(t, leaf).TLS()}}
	for _, c := range change {
		c(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.secret(t, nil)
	return s
}

// secret writes the Secret: the CA and these keys.
func (s *served) secret(t *testing.T, keys map[string]string) {
	t.Helper()
	files := map[string][]byte{"ca.crt": []byte(s.ca.Bundle())}
	for name, text := range keys {
		files[name] = []byte(text)
	}
	if err := testca.WriteVolume(s.dir, files); err != nil {
		t.Fatal(err)
	}
}

func (s *served) client(t *testing.T, opts Options) *Client {
	t.Helper()
	return client(t, config.Remote{URL: s.URL + "/x", Directory: s.dir}, opts)
}

func client(t *testing.T, cfg config.Remote, opts Options) *Client {
	t.Helper()
	c, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// read gets the URL of the client itself, up to a bound.
func read(t *testing.T, c *Client, maxBytes int64) (string, error) {
	t.Helper()
	resp, err := c.Get(t.Context(), "", maxBytes, Validators{})
	if err != nil {
		return "", err
	}
	text, err := ReadAll(resp)
	return string(text), err
}

// short is a stall time that a test can wait for.
const short = 200 * time.Millisecond
