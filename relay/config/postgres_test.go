// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

func TestARelayHasOneStore(t *testing.T) {
	for _, tc := range []struct {
		name  string
		store Store
		fault string
	}{
		{"sqlite", Store{SQLite: SQLite{Path: "/data/relay.db"}}, ""},
		{"postgres", Store{Postgres: &Postgres{URLFile: "/secrets/url"}}, ""},
		{"postgres with connections", Store{Postgres: &Postgres{URLFile: "/secrets/url", MaxConnections: 4}}, ""},
		{"neither", Store{}, "store.sqlite.path: must name a file"},
		{"both", Store{SQLite: SQLite{Path: "/data/relay.db"}, Postgres: &Postgres{URLFile: "/secrets/url"}}, "store: must have one of sqlite and postgres, not both"},
		{"no file", Store{Postgres: &Postgres{}}, "store.postgres.urlFile: must name a file"},
		{"too few connections", Store{Postgres: &Postgres{URLFile: "/u", MaxConnections: 3}}, "store.postgres.maxConnections: must be 4 to 1000"},
		{"too many connections", Store{Postgres: &Postgres{URLFile: "/u", MaxConnections: 1001}}, "store.postgres.maxConnections: must be 4 to 1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFaults()
			tc.store.Postgres.setDefaults()
			tc.store.validate(f.in("store"))
			text := ""
			if err := f.err(); err != nil {
				text = err.Error()
			}
			if text != tc.fault && (tc.fault == "" || !strings.Contains(text, tc.fault)) {
				t.Errorf("faults are %q, want %q", text, tc.fault)
			}
		})
	}
}

func TestAStoreIsTheSameByItsContent(t *testing.T) {
	one := Store{Postgres: &Postgres{URLFile: "/u", MaxConnections: 4}}
	for _, tc := range []struct {
		other Store
		want  bool
	}{
		{Store{Postgres: &Postgres{URLFile: "/u", MaxConnections: 4}}, true},
		{Store{Postgres: &Postgres{URLFile: "/v", MaxConnections: 4}}, false},
		{Store{SQLite: SQLite{Path: "/p"}}, false},
	} {
		if got := one.Same(tc.other); got != tc.want {
			t.Errorf("%+v is the same as %+v: %v", one, tc.other, got)
		}
	}
}
