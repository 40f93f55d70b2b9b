// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"net/url"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/testpostgres"
)

// TestAServerThatRefusesUsSaysWhatIsToBeDone: what a server says for each mistake, and not what we believe that it says.
func TestAServerThatRefusesUsSaysWhatIsToBeDone(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	schema := u.Query().Get("search_path")
	raw(t, uri, "CREATE ROLE reader LOGIN PASSWORD 'reader'", "GRANT USAGE ON SCHEMA "+schema+" TO reader")
	defer raw(t, uri, "REVOKE ALL ON SCHEMA "+schema+" FROM reader", "DROP ROLE reader")
	with := func(change func(u *url.URL)) string {
		v := *u
		change(&v)
		return v.String()
	}
	for want, uri := range map[string]string{
		"a user and a password": with(func(u *url.URL) { u.User = url.UserPassword("relay", "wrong") }),
		"make the database":     with(func(u *url.URL) { u.Path = "/nowhere" }),
		"the owner":             with(func(u *url.URL) { u.User = url.UserPassword("reader", "reader") }),
	} {
		s, err := Open(t.Context(), Config{URL: always(uri)})
		if err == nil {
			t.Errorf("%s: it is opened: %v", want, s.Close())
			continue
		}
		if !Passes(err) || !strings.Contains(Remedy(err), want) {
			t.Errorf("%s: remedy %q of %v", want, Remedy(err), err)
		}
	}
}
