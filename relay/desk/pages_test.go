// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/testca"
)

// TestNoPageOfAnotherSiteActsAsAnOfficer plays the browser of an officer whose certificate is in it.
func TestNoPageOfAnotherSiteActsAsAnOfficer(t *testing.T) {
	ca := testca.New(t, "alfa.example")
	address, _, _ := serve(t, ca, nil)
	client := newClient(t, ca, ca.Leaf(t, testca.Leaf{Path: "/desk"}))
	for _, c := range []struct {
		name, method string
		header       map[string]string
		want         int
	}{
		{"a_program", http.MethodPost, nil, http.StatusOK},
		{"a_form_of_another_site", http.MethodPost, map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}, http.StatusForbidden},
		{"a_form_of_another_port_of_this_machine", http.MethodPost, map[string]string{"Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
		{"an_old_browser", http.MethodPost, map[string]string{"Origin": "https://other.example"}, http.StatusForbidden},
		{"a_page_without_an_origin", http.MethodPost, map[string]string{"Origin": "null"}, http.StatusForbidden},
		{"a_page_that_changes_a_draft", http.MethodPut, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"a_page_that_reads_and_is_shown_nothing", http.MethodGet, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, "https://"+address+"/hotline/drafts/bravo/1/release", strings.NewReader(`{"hash":"h"}`))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range c.header {
				req.Header.Set(name, value)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if said, _ := io.ReadAll(resp.Body); resp.StatusCode != c.want {
				t.Errorf("%d %s, want %d", resp.StatusCode, said, c.want)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("a page of another site may read the answer")
			}
		})
	}
}
