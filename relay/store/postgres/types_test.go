// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

// TestTypesThatAnEarlierReleaseStoredAreAdmitted: their objects may come again in other versions.
func TestTypesThatAnEarlierReleaseStoredAreAdmitted(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
	known, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	version := slices.IndexFunc(known, func(name string) bool { return strings.HasSuffix(name, "_types.sql") })
	for _, name := range known[:version] {
		script, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raw(t, uri, string(script))
	}
	raw(t, uri, "CREATE TABLE certlink_schema (one boolean PRIMARY KEY DEFAULT true, version integer NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid())",
		fmt.Sprintf("INSERT INTO certlink_schema (version) VALUES (%d)", version), "INSERT INTO words (word) VALUES ('c'), ('x-old')",
		"INSERT INTO objects (seq, version, collection, type, revoked, stix_id, spec, raw) SELECT 5, 0, c.id, t.id, false, 'x-old--1', '2.1', '' FROM words c, words t WHERE c.word = 'c' AND t.word = 'x-old'")
	var names []string
	for n := range store.MaxTypes {
		names = append(names, fmt.Sprintf("x-type-%04d", n))
	}
	refused, err := openAt(t, uri).AdmitTypes(t.Context(), "c", append(names, "x-old"))
	if err != nil || !slices.Equal(refused, names[store.MaxTypes-1:]) {
		t.Errorf("refused are %v, %v", refused, err)
	}
}
