// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/store"
)

// TestAVersionIsFoundAtOnceHoweverManyAnObjectHas: the index has them by spec version and version, and each question
// about others of the object is one place in it. A peer may send very many.
func TestAVersionIsFoundAtOnceHoweverManyAnObjectHas(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	for name, q := range map[string]store.Query{
		"the last of the newest spec":  {Limit: 9, Versions: store.Versions{Last: true}, NewestSpec: true},
		"the first of the newest spec": {Limit: 9, Versions: store.Versions{First: true}, NewestSpec: true},
		"the last of all specs":        {Limit: 9, Versions: store.Versions{Last: true}},
		"the first of all specs":       {Limit: 9, Versions: store.Versions{First: true}},
		"the last of named specs":      {Limit: 9, Versions: store.Versions{Last: true}, Specs: []string{"2.0", "2.1"}},
		"all of the newest spec":       {Limit: 9, NewestSpec: true},
	} {
		view := lens{view: 1, rule: 1, collections: []int64{1, 2}}
		list := siblings{
			position: "o.seq", theirs: "n.seq",
			from: "objects n INDEXED BY objects_by_key WHERE n.key = o.key AND n.collection = o.collection AND n.stix_id = o.stix_id",
		}
		for where, from := range map[string]struct {
			siblings
			tables string
		}{
			"a collection": {list, "SELECT 1 FROM objects o INDEXED BY objects_by_position WHERE o.collection = 1"},
			"a view":       {view.siblings(0), "SELECT 1 FROM decisions d INDEXED BY decisions_shared CROSS JOIN objects o ON o.seq = d.seq WHERE d.view = 1 AND d.share = 1"},
		} {
			var c clause
			c.add(from.tables)
			from.narrow(&c, q)
			asked := 0
			for step := range strings.SplitSeq(explain(t, s, c.text.String(), c.args...), "; ") {
				if !strings.HasPrefix(step, "SEARCH n ") {
					continue
				}
				asked++
				if !strings.Contains(step, "(key=? AND spec>?)") && !strings.Contains(step, "(key=? AND spec=? AND version>?)") && !strings.Contains(step, "(key=? AND spec=? AND version<?)") {
					t.Errorf("%s, in %s: %s", name, where, step)
				}
			}
			if asked == 0 {
				t.Errorf("%s, in %s: no other versions are asked for", name, where)
			}
		}
	}
	if plan := explain(t, s, storedObject, 1, 1, "x", 1); !strings.Contains(plan, "(key=? AND spec=? AND version=?)") {
		t.Errorf("whether a version is stored: %s", plan)
	}
}

// TestADatabaseOfBeforeVersionsWereInTheIndexKeepsItsObjects: each version is there once as before, and is found.
func TestADatabaseOfBeforeVersionsWereInTheIndexKeepsItsObjects(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	var objects []store.Object
	for n := range 300 {
		objects = append(objects, store.Object{ID: "tool--00000000-0000-4000-8000-000000000001", Type: "tool", SpecVersion: []string{"2.1", "2.0"}[n%2], Version: time.Unix(int64(n), 0), Raw: fmt.Appendf(nil, "%d", n)})
	}
	if _, err := s.PutObjects(t.Context(), "c", objects, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	known, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for n, name := range known {
		if strings.HasSuffix(name, "0031_versions.sql") {
			at = n + 1
		}
	}
	raw(t, path, "DROP INDEX objects_by_key", "CREATE INDEX objects_by_key ON objects (key)", fmt.Sprintf("PRAGMA user_version = %d", at-1))
	onlyStep(t, path, "migrations/0031_versions.sql", at)
	raw(t, path, fmt.Sprintf("PRAGMA user_version = %d", len(known)))
	s = open(t, path)
	got, err := s.PutObjects(t.Context(), "c", objects, "")
	want := make([]store.Outcome, len(objects))
	for i := range want {
		want[i] = store.Duplicate
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	page, err := s.ListObjects(t.Context(), "c", store.Query{Limit: 9, NewestSpec: true, Versions: store.Versions{First: true, Last: true}})
	if err != nil || len(page.Records) != 2 || string(page.Records[0].Raw) != "0" || string(page.Records[1].Raw) != "298" {
		t.Errorf("%+v, %v", page, err)
	}
	if plan := explain(t, s, storedObject, 1, 1, "x", 1); !strings.Contains(plan, "version=?") {
		t.Errorf("whether a version is stored: %s", plan)
	}
}
