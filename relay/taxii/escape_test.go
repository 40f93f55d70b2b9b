// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestNoAnswerLeadsTheClientToAnotherServer: what a server names, an API root or an id,
// is a path on this server, whatever it looks like.
func TestNoAnswerLeadsTheClientToAnotherServer(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		answers(200, MediaType, `{"collections":[{"id":"c1","can_read":true}]}`)(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	host := strings.TrimPrefix(elsewhere.URL, "https://")
	for name, root := range map[string]string{
		"another_host":             elsewhere.URL + "/x/",
		"another_host_no_scheme":   "//" + host + "/x/",
		"two_slashes_in_the_path":  "SELF//" + host + "/x/",
		"two_slashes_with_a_dot":   "/.//" + host + "/x/",
		"an_escaped_slash":         "/%2F" + host + "/x/",
		"slash_and_backslash":      `/\` + host + "/x/",
		"a_user_before_the_host":   "https://SELFHOST@" + host + "/x/",
		"two_slashes_and_upwards":  "SELF/a/..//" + host + "/x/",
		"a_path_that_is_no_scheme": "x:" + host,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/taxii2/" {
					http.NotFound(w, r)
					return
				}
				self := "https://" + r.Host
				named := strings.NewReplacer("SELFHOST", r.Host, "SELF", self).Replace(root)
				answers(200, MediaType, fmt.Sprintf(`{"title":"x","api_roots":[%q]}`, named))(w, r)
			}))
			server.StartTLS()
			t.Cleanup(server.Close)
			pool := elsewhere.Client() // it trusts both: their certificate is the same
			c, err := NewClient(ClientConfig{HTTP: pool, Server: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			if l, err := c.Find(t.Context(), "c1"); err == nil {
				t.Errorf("found %+v", l)
			}
		})
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("another server was asked %d times", n)
	}
}
