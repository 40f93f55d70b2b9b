// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var versionTests = map[string]func(t *testing.T, e env){
	"selects_first_last_and_named_versions":               selectsVersions,
	"takes_the_date_added_for_a_missing_version":          selectsUnversioned,
	"selects_the_newest_or_the_named_spec_version":        selectsSpecs,
	"looks_at_all_versions_whatever_the_position":         versionsBeyondThePage,
	"pages_through_last_versions_without_gap_or_repeat":   pagesLastVersions,
	"shows_the_last_of_what_is_shared":                    lastShared,
	"takes_the_first_added_of_a_version_in_two_places":    sameVersionTwice,
	"takes_the_last_before_records_that_wait":             lastBeforeStale,
	"leaves_out_the_content_that_nobody_asks_for":         leavesOutContent,
	"compares_versions_within_a_collection_and_view_only": versionsApart,
	"takes_very_many_versions_of_an_object":               veryManyVersions,
}

var (
	first = store.Versions{First: true}
	last  = store.Versions{Last: true}
)

// version makes a version of the n-th object, hour hours after the epoch.
func version(n, hour int) store.Object {
	o := object(n)
	o.Version = epoch.Add(time.Duration(hour) * time.Hour)
	o.Raw = fmt.Appendf(nil, "%d@%d", n, hour)
	return o
}

func withSpec(o store.Object, spec string) store.Object {
	o.SpecVersion = spec
	return o
}

func contents(records []store.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, string(r.Raw))
	}
	return all
}

// everywhere asks a collection and a view of it that shares all.
func everywhere(t *testing.T, e env, want map[string]store.Query, answers map[string][]string) {
	t.Helper()
	mustDecide(t, e, view("r"), share(mustUndecided(t, e, view("r"), store.MaxRecords, "c")...)...)
	for name, q := range want {
		same(t, name, contents(mustList(t, e, "c", q).Records), answers[name])
		same(t, name+", in the view", contents(mustView(t, e, view("r"), inC, q).Records), answers[name])
	}
}

func selectsVersions(t *testing.T, e env) {
	mustPut(t, e, "c", version(1, 2), version(2, 1), version(1, 1), version(1, 3), version(3, 7))
	at := func(hours ...int) store.Versions {
		var v store.Versions
		for _, h := range hours {
			v.At = append(v.At, version(1, h).Version)
		}
		return v
	}
	lastAnd := at(1)
	lastAnd.Last = true
	everywhere(t, e, map[string]store.Query{
		"all": {}, "first": {Versions: first}, "last": {Versions: last}, "both": {Versions: store.Versions{First: true, Last: true}},
		"at": {Versions: at(1, 2)}, "at none": {Versions: at(9)}, "last and at": {Versions: lastAnd},
		"last of one": {Versions: last, IDs: objectIDs(1)}, "last of type": {Versions: last, Types: []string{"malware"}},
	}, map[string][]string{
		"all": {"1@2", "2@1", "1@1", "1@3", "3@7"}, "first": {"2@1", "1@1", "3@7"}, "last": {"2@1", "1@3", "3@7"},
		"both": {"2@1", "1@1", "1@3", "3@7"}, "at": {"1@2", "2@1", "1@1"}, "last and at": {"2@1", "1@1", "1@3", "3@7"},
		"last of one": {"1@3"},
	})
}

func selectsUnversioned(t *testing.T, e env) {
	file := store.Object{ID: "file--1", Type: "file", SpecVersion: "2.1", Raw: []byte("file")}
	mustPut(t, e, "c", version(1, 1), file)
	mustDecide(t, e, view("r"), share(mustUndecided(t, e, view("r"), 10, "c")...)...)
	for _, list := range []func(q store.Query) []store.Record{
		func(q store.Query) []store.Record { return mustList(t, e, "c", q).Records },
		func(q store.Query) []store.Record { return mustView(t, e, view("r"), inC, q).Records },
	} {
		all := list(store.Query{})
		same(t, "first", contents(list(store.Query{Versions: first})), contents(all))
		same(t, "last", contents(list(store.Query{Versions: last})), contents(all))
		same(t, "at its date added", contents(list(store.Query{Versions: store.Versions{At: []time.Time{all[1].DateAdded}}})), []string{"file"})
		same(t, "at the date added of another", contents(list(store.Query{Versions: store.Versions{At: []time.Time{all[0].DateAdded}}})), []string(nil))
	}
}

func selectsSpecs(t *testing.T, e env) {
	mustPut(t, e, "c", withSpec(version(1, 1), "2.0"), withSpec(version(1, 2), "2.1"), withSpec(version(1, 3), "2.0"), withSpec(version(2, 1), "2.0"))
	everywhere(t, e, map[string]store.Query{
		"newest": {NewestSpec: true}, "2.0": {Specs: []string{"2.0"}}, "2.1": {Specs: []string{"2.1"}}, "any": {Specs: []string{"2.1", "2.0"}},
		"last of newest": {NewestSpec: true, Versions: last}, "last of 2.0": {Specs: []string{"2.0"}, Versions: last},
		"first of any": {Specs: []string{"2.0", "2.1"}, Versions: first}, "3.0": {Specs: []string{"3.0"}}, "last": {Versions: last},
	}, map[string][]string{
		"newest": {"1@2", "2@1"}, "2.0": {"1@1", "1@3", "2@1"}, "2.1": {"1@2"}, "any": {"1@1", "1@2", "1@3", "2@1"},
		"last of newest": {"1@2", "2@1"}, "last of 2.0": {"1@3", "2@1"}, "first of any": {"1@1", "2@1"}, "last": {"1@3", "2@1"},
	})
}

func versionsBeyondThePage(t *testing.T, e env) {
	mustPut(t, e, "c", version(1, 5), version(1, 1), version(2, 1))
	all := mustList(t, e, "c", store.Query{}).Records
	same(t, "an old version that came late", contents(mustList(t, e, "c", store.Query{Versions: last, AddedAfter: all[0].DateAdded}).Records), []string{"2@1"})
	mustPut(t, e, "c", version(2, 2))
	same(t, "a version that has a later one on the next page", contents(mustList(t, e, "c", store.Query{Versions: last, Limit: 2}).Records), []string{"1@5", "2@2"})
}

func pagesLastVersions(t *testing.T, e env) {
	var want []string
	for n := range 20 {
		mustPut(t, e, "c", version(n, 1), version(n, 2))
		want = append(want, fmt.Sprintf("%d@2", n))
	}
	mustDecide(t, e, view("r"), share(mustUndecided(t, e, view("r"), 100, "c")...)...)
	var got, shown []string
	for q := (store.Query{Versions: last, NewestSpec: true, Limit: 3}); ; {
		page := mustList(t, e, "c", q)
		got = append(got, contents(page.Records)...)
		if q.After = page.Next; page.Next == 0 {
			break
		}
	}
	for q := (store.Query{Versions: last, NewestSpec: true, Limit: 3}); ; {
		page := mustView(t, e, view("r"), inC, q)
		shown = append(shown, contents(page.Records)...)
		if q.After = page.Next; page.Next == 0 {
			break
		}
	}
	same(t, "pages", got, want)
	same(t, "pages of the view", shown, want)
}

func lastShared(t *testing.T, e env) {
	mustPut(t, e, "c", version(1, 1), version(1, 2), withSpec(version(1, 3), "2.2"), version(2, 1))
	all := mustList(t, e, "c", store.Query{}).Records
	show := func(q store.Query) []string { return contents(mustView(t, e, view("r"), inC, q).Records) }
	mustDecide(t, e, view("r"), share(all[1])...)
	same(t, "while the others are undecided", show(store.Query{Versions: last, NewestSpec: true}), []string{"1@2"})
	mustDecide(t, e, view("r"), append(share(all[0], all[3]), hold("Red", all[2])...)...)
	same(t, "last", show(store.Query{Versions: last, NewestSpec: true}), []string{"1@2", "2@1"})
	same(t, "first", show(store.Query{Versions: first}), []string{"1@1", "2@1"})
	same(t, "the held version by its time", show(store.Query{Versions: store.Versions{At: []time.Time{all[2].Version}}}), []string(nil))
	mustDecide(t, e, view("r"), hold("Red", all[1])...)
	same(t, "last when it is held", show(store.Query{Versions: last, NewestSpec: true, IDs: objectIDs(1)}), []string{"1@1"})
}

func sameVersionTwice(t *testing.T, e env) {
	mustPut(t, e, "one", version(1, 1))
	mustPut(t, e, "two", version(1, 1), version(1, 0))
	both := []string{"one", "two"}
	found := mustUndecided(t, e, view("r"), 10, both...)
	mustDecide(t, e, view("r"), share(found[1], found[0], found[2])...)
	for name, v := range map[string]store.Versions{"last": last, "first": first} {
		records := mustView(t, e, view("r"), both, store.Query{Versions: v}).Records
		if len(records) != 1 || records[0].Collection != "two" {
			t.Errorf("%s is %+v", name, records)
		}
	}
	same(t, "last in one", len(mustView(t, e, view("r"), []string{"one"}, store.Query{Versions: last}).Records), 1)
}

func lastBeforeStale(t *testing.T, e env) {
	mustPut(t, e, "c", version(1, 1), version(1, 2), version(1, 3))
	all := mustList(t, e, "c", store.Query{}).Records
	mustDecide(t, e, view("old"), share(all...)...)
	mustDecide(t, e, view("new"), share(all[0], all[2])...)
	show := func() []string {
		return contents(mustView(t, e, view("new"), inC, store.Query{Versions: last}).Records)
	}
	same(t, "last while the second waits", show(), []string{"1@1"})
	mustDecide(t, e, view("new"), hold("Red", all[1])...)
	same(t, "last when all is decided", show(), []string{"1@3"})
}

func leavesOutContent(t *testing.T, e env) {
	mustPut(t, e, "c", objects(0, 3)...)
	mustDecide(t, e, view("r"), share(mustUndecided(t, e, view("r"), 10, "c")...)...)
	whole, shown := mustList(t, e, "c", store.Query{}), mustView(t, e, view("r"), inC, store.Query{})
	for i := range 3 {
		whole.Records[i].Raw, shown.Records[i].Raw = nil, nil
	}
	same(t, "page", mustList(t, e, "c", store.Query{NoContent: true}), whole)
	same(t, "page of the view", mustView(t, e, view("r"), inC, store.Query{NoContent: true}), shown)
}

func versionsApart(t *testing.T, e env) {
	mustPut(t, e, "c", version(1, 1))
	mustPut(t, e, "other", version(1, 2))
	same(t, "last", contents(mustList(t, e, "c", store.Query{Versions: last}).Records), []string{"1@1"})
	mustDecide(t, e, view("r"), share(mustUndecided(t, e, view("r"), 10, "c")...)...)
	mustDecide(t, e, store.View{Feed: "g", Peer: "bravo", Rule: "r"}, share(mustUndecided(t, e, view("r"), 10, "other")...)...)
	same(t, "last in the view", contents(mustView(t, e, view("r"), []string{"c", "other"}, store.Query{Versions: last}).Records), []string{"1@1"})
}

// veryManyVersions: whoever may add to a collection may add as many versions of one object as objects. Each costs what
// it costs, and not a look at all others.
func veryManyVersions(t *testing.T, e env) {
	const many, atOnce = 4000, 2000
	for from := 0; from < many; from += atOnce {
		var batch []store.Object
		for n := from; n < from+atOnce; n++ {
			batch = append(batch, withSpec(version(1, n), []string{"2.1", "2.0"}[n*2/many]))
		}
		mustPut(t, e, "c", batch...)
	}
	mustPut(t, e, "c", version(2, 1))
	for {
		found := mustUndecided(t, e, view("r"), store.MaxRecords, "c")
		if len(found) == 0 {
			break
		}
		mustDecide(t, e, view("r"), share(found...)...)
	}
	for name, c := range map[string]struct {
		q    store.Query
		want []string
	}{
		"the last of the newest spec":  {store.Query{NewestSpec: true, Versions: last}, []string{fmt.Sprint("1@", many/2-1), "2@1"}},
		"the first of the newest spec": {store.Query{NewestSpec: true, Versions: first}, []string{"1@0", "2@1"}},
		"the last of all":              {store.Query{Versions: last}, []string{fmt.Sprint("1@", many-1), "2@1"}},
		"the first of 2.0":             {store.Query{Specs: []string{"2.0"}, Versions: first}, []string{fmt.Sprint("1@", many/2)}},
	} {
		for where, list := range map[string]func(q store.Query) store.Page{
			"a collection": func(q store.Query) store.Page { return mustList(t, e, "c", q) },
			"a view":       func(q store.Query) store.Page { return mustView(t, e, view("r"), inC, q) },
		} {
			c.q.Limit, c.q.After = store.MaxRecords, 0
			var got []string
			for {
				page := list(c.q)
				got = append(got, contents(page.Records)...)
				if c.q.After = page.Next; c.q.After == 0 {
					break
				}
			}
			same(t, name+", in "+where, got, c.want)
		}
	}
}
