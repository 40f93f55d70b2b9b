// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

func TestGetReadsWhatIsServed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.String())
	}))
	defer server.Close()
	for _, tt := range []struct{ url, path, want string }{
		{"/a?b=c", "", "GET /a?b=c"},
		{"/a", "b/c%2Fd.json", "GET /a/b/c%2Fd.json"},
		{"/a/?x=y", "b", "GET /a/b"},
		{"", "/b/", "GET /b/"},
		{"", "b", "GET /b"},
	} {
		c, err := New(config.Remote{URL: server.URL + tt.url}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Get(t.Context(), tt.path, 100, Validators{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := ReadAll(resp)
		if err != nil || string(text) != tt.want {
			t.Errorf("%q below %q = %q, %v, want %q", tt.path, tt.url, text, err, tt.want)
		}
		c.Close()
	}
}
