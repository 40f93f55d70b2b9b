// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var objectTests = map[string]func(t *testing.T, e env){
	"keeps_objects_byte_for_byte_across_a_reopen":      keepsBytes,
	"tells_duplicates_and_forks_apart":                 tellsForks,
	"keeps_the_same_object_apart_by_collection":        keepsCollectionsApart,
	"moves_the_cursor_with_the_objects":                movesCursor,
	"pages_by_position_without_gap_or_repeat":          pagesObjects,
	"ends_a_page_when_its_content_is_large":            endsLargePage,
	"selects_by_time_id_and_type":                      selectsObjects,
	"adds_later_though_the_clock_goes_back":            clockGoesBack,
	"counts_objects_of_collections":                    countsObjects,
	"refuses_limits_out_of_bounds":                     refusesObjectLimits,
	"does_nothing_when_the_context_has_ended":          endedContext,
	"finds_nothing_in_a_collection_that_was_never_put": emptyCollection,
}

func keepsBytes(t *testing.T, e env) {
	odd := object(1)
	odd.Raw = []byte("{\"a\" : 1.0,\n\t\"b\":\"\\u00e9\x00\xff\"}")
	scO := store.Object{ID: "ipv4-addr--1", Type: "ipv4-addr", SpecVersion: "2.0", Raw: []byte(`{}`)}
	nothing := store.Object{ID: "x--1", Type: "x", SpecVersion: "2.1", Version: time.Unix(0, 0).UTC(), Raw: []byte{}}
	mustPut(t, e, "c", odd, scO, nothing)
	before := mustList(t, e, "c", store.Query{})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	after := mustList(t, e.reopen(t, Options{}), "c", store.Query{})
	same(t, "after reopening", after, before)
	if len(after.Records) != 3 {
		t.Fatalf("%d records, want 3", len(after.Records))
	}
	for i, want := range []store.Object{odd, scO, nothing} {
		got := after.Records[i]
		if !bytes.Equal(got.Raw, want.Raw) || !got.Version.Equal(want.Version) || got.Version.IsZero() != want.Version.IsZero() {
			t.Errorf("record %d is %+v, want %+v", i, got.Object, want)
		}
		same(t, "collection, id, type", []string{got.Collection, got.ID, got.Type, got.SpecVersion},
			[]string{"c", want.ID, want.Type, want.SpecVersion})
	}
}

func tellsForks(t *testing.T, e env) {
	fork := object(1)
	fork.Raw = []byte("other")
	newer := object(1)
	newer.Version = epoch.Add(time.Microsecond)
	same(t, "outcomes", mustPut(t, e, "c", object(1), object(1), fork, newer), []store.Outcome{
		store.Added, store.Duplicate, store.Forked, store.Added,
	})
	same(t, "outcomes of a repetition", mustPut(t, e, "c", fork, newer, object(1)), []store.Outcome{
		store.Forked, store.Duplicate, store.Duplicate,
	})
	page := mustList(t, e, "c", store.Query{})
	same(t, "what is kept", []string{string(page.Records[0].Raw), string(page.Records[1].Raw)},
		[]string{string(object(1).Raw), string(newer.Raw)})
	// An observable has no version: its id alone is the key.
	a, b := store.Object{ID: "file--1", Type: "file", Raw: []byte("a")}, store.Object{ID: "file--1", Type: "file", Raw: []byte("b")}
	same(t, "outcomes without version", mustPut(t, e, "c", a, a, b), []store.Outcome{store.Added, store.Duplicate, store.Forked})
}

func keepsCollectionsApart(t *testing.T, e env) {
	other := object(1)
	other.Raw = []byte("other")
	mustPut(t, e, "one", object(1))
	same(t, "outcome in another collection", mustPut(t, e, "two", other), []store.Outcome{store.Added})
	same(t, "content of one", mustList(t, e, "one", store.Query{}).Records[0].Raw, object(1).Raw)
	same(t, "content of two", mustList(t, e, "two", store.Query{}).Records[0].Raw, other.Raw)
}

func movesCursor(t *testing.T, e env) {
	put := func(cursor string, objects ...store.Object) {
		t.Helper()
		if _, err := e.PutObjects(t.Context(), "c", objects, cursor); err != nil {
			t.Fatal(err)
		}
	}
	at := func(s store.Store, collection, want string) {
		t.Helper()
		got, err := s.Cursor(t.Context(), collection)
		if err != nil || got != want {
			t.Errorf("cursor of %q is %q, %v; want %q", collection, got, err, want)
		}
	}
	at(e, "c", "")
	put("page 2", object(1))
	at(e, "c", "page 2")
	put("", object(2))
	at(e, "c", "page 2")
	put("page 3")
	at(e, "c", "page 3")
	at(e, "d", "")
	ctx, cancel := cancelled(t)
	defer cancel()
	if _, err := e.PutObjects(ctx, "c", objects(3, 5), "page 4"); err == nil {
		t.Error("a put with an ended context succeeds")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	at(s, "c", "page 3")
	same(t, "objects", ids(mustList(t, s, "c", store.Query{}).Records), objectIDs(1, 2))
}

func pagesObjects(t *testing.T, e env) {
	mustPut(t, e, "c", objects(0, 25)...)
	mustPut(t, e, "noise", objects(0, 25)...)
	mustPut(t, e, "c", objects(25, 30)...)
	var all []store.Record
	var after int64
	for {
		page := mustList(t, e, "c", store.Query{After: after, Limit: 7})
		all = append(all, page.Records...)
		if len(page.Records) > 7 {
			t.Errorf("a page of 7 has %d records", len(page.Records))
		}
		if page.Next == 0 {
			break
		}
		if want := page.Records[len(page.Records)-1].DateAdded.UnixMicro(); page.Next < want {
			t.Errorf("Next is %d, before the last record's %d", page.Next, want)
		}
		after = page.Next
	}
	var want []string
	for _, o := range objects(0, 30) {
		want = append(want, o.ID)
	}
	same(t, "ids of all pages", ids(all), want)
	growing(t, all)
	for i := 1; i < len(all); i++ {
		if all[i].Seq <= all[i-1].Seq {
			t.Errorf("Seq %d does not grow", all[i].Seq)
		}
	}
	exact := mustList(t, e, "c", store.Query{Limit: 30})
	if exact.Next != 0 {
		t.Error("a page that holds all has a Next")
	}
}

func endsLargePage(t *testing.T, e env) {
	large := objects(0, 5)
	for i := range large {
		large[i].Raw = []byte(strings.Repeat("x", store.MaxPageBytes/3+1))
	}
	mustPut(t, e, "c", large...)
	first := mustList(t, e, "c", store.Query{})
	second := mustList(t, e, "c", store.Query{After: first.Next})
	same(t, "pages", []int{len(first.Records), len(second.Records)}, []int{3, 2})
	if first.Next == 0 || second.Next != 0 {
		t.Errorf("Next is %d and %d, want a position and 0", first.Next, second.Next)
	}
}

func selectsObjects(t *testing.T, e env) {
	malware := store.Object{ID: "malware--1", Type: "malware", Version: epoch, Raw: []byte("m")}
	newer := object(2)
	newer.Version = epoch.Add(time.Hour)
	mustPut(t, e, "c", object(1), object(2), malware, newer, object(3))
	all := mustList(t, e, "c", store.Query{}).Records
	for name, tt := range map[string]struct {
		query store.Query
		want  []string
	}{
		"time":         {store.Query{AddedAfter: all[2].DateAdded}, objectIDs(2, 3)},
		"time before":  {store.Query{AddedAfter: all[2].DateAdded.Add(-time.Microsecond)}, append([]string{"malware--1"}, objectIDs(2, 3)...)},
		"time and pos": {store.Query{AddedAfter: all[1].DateAdded, After: all[3].DateAdded.UnixMicro()}, objectIDs(3)},
		"ids":          {store.Query{IDs: append(objectIDs(2, 9), "malware--1")}, []string{object(2).ID, "malware--1", object(2).ID}},
		"type":         {store.Query{Types: []string{"malware", "unheard-of"}}, []string{"malware--1"}},
		"unknown type": {store.Query{Types: []string{"unheard-of"}}, nil},
		"type and id":  {store.Query{Types: []string{"malware"}, IDs: objectIDs(1)}, nil},
		"types":        {store.Query{Types: []string{"malware", "indicator"}, AddedAfter: all[1].DateAdded}, append([]string{"malware--1"}, objectIDs(2, 3)...)},
	} {
		same(t, "by "+name, ids(mustList(t, e, "c", tt.query).Records), tt.want)
	}
	page := mustList(t, e, "c", store.Query{IDs: objectIDs(2), Limit: 1})
	rest := mustList(t, e, "c", store.Query{IDs: objectIDs(2), Limit: 1, After: page.Next})
	if !rest.Records[0].Version.Equal(newer.Version) || rest.Next != 0 {
		t.Errorf("second page by id is %+v", rest)
	}
}

func clockGoesBack(t *testing.T, e env) {
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	put := func(now time.Time, n int) {
		t.Helper()
		s := e.reopen(t, Options{Now: func() time.Time { return now }})
		mustPut(t, s, "c", objects(n, n+3)...)
		mustDecide(t, s, view("r"), share(mustList(t, s, "c", store.Query{}).Records[n:]...)...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	put(epoch.Add(time.Hour), 0)
	put(epoch, 3)
	put(epoch.Add(2*time.Hour), 6)
	s := e.reopen(t, Options{})
	records := mustList(t, s, "c", store.Query{}).Records
	shared := mustView(t, s, view("r"), []string{"c"}, store.Query{}).Records
	same(t, "order", ids(records), objectIDs(0, 1, 2, 3, 4, 5, 6, 7, 8))
	same(t, "order in the view", ids(shared), ids(records))
	growing(t, records)
	growing(t, shared)
	if got := records[6].DateAdded; got.Before(epoch.Add(2 * time.Hour)) {
		t.Errorf("with the clock right again an object is added at %v", got)
	}
}

func countsObjects(t *testing.T, e env) {
	mustPut(t, e, "one", objects(0, 3)...)
	mustPut(t, e, "one", objects(1, 4)...)
	mustPut(t, e, "two", objects(0, 2)...)
	for _, tt := range []struct {
		want        int64
		collections []string
	}{{4, []string{"one"}}, {6, []string{"one", "two"}}, {2, []string{"two", "none"}}, {0, []string{"none"}}, {0, nil}} {
		got, err := e.CountObjects(t.Context(), tt.collections...)
		if err != nil || got != tt.want {
			t.Errorf("count of %q is %d, %v; want %d", tt.collections, got, err, tt.want)
		}
	}
}

func refusesObjectLimits(t *testing.T, e env) {
	many := make([]string, store.MaxSelectors+1)
	for name, q := range map[string]store.Query{
		"limit 0":         {},
		"negative limit":  {Limit: -1},
		"limit too large": {Limit: store.MaxRecords + 1},
		"too many ids":    {Limit: 1, IDs: many},
		"too many types":  {Limit: 1, Types: many},
		"too many specs":  {Limit: 1, Specs: many},
		"too many times":  {Limit: 1, Versions: store.Versions{At: make([]time.Time, store.MaxSelectors+1)}},
	} {
		if _, err := e.ListObjects(t.Context(), "c", q); err == nil {
			t.Errorf("ListObjects accepts %s", name)
		}
		if _, err := e.ListView(t.Context(), view("r"), []string{"c"}, q); err == nil {
			t.Errorf("ListView accepts %s", name)
		}
	}
	if _, err := e.PutObjects(t.Context(), "c", make([]store.Object, store.MaxRecords+1), ""); err == nil {
		t.Error("PutObjects accepts too many objects")
	}
}

func endedContext(t *testing.T, e env) {
	ctx, cancel := cancelled(t)
	defer cancel()
	if _, err := e.PutObjects(ctx, "c", objects(0, 3), "x"); err == nil {
		t.Error("PutObjects succeeds")
	}
	if _, _, err := e.Accept(ctx, received("m", 1)); err == nil {
		t.Error("Accept succeeds")
	}
	same(t, "objects", len(mustList(t, e, "c", store.Query{}).Records), 0)
	mustPut(t, e, "c", object(1))
	mustAccept(t, e, received("m", 1))
}

func emptyCollection(t *testing.T, e env) {
	same(t, "page", mustList(t, e, "c", store.Query{}), store.Page{})
	same(t, "view", mustView(t, e, view("r"), []string{"c"}, store.Query{}), store.Page{})
	mustPut(t, e, "c")
	same(t, "page after an empty put", mustList(t, e, "c", store.Query{}), store.Page{})
}
