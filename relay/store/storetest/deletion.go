// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var deletionTests = map[string]func(t *testing.T, e env){
	"takes_a_record_out_of_lists_views_and_counts": deletesEverywhere,
	"deletes_the_versions_that_are_selected":       deletesVersions,
	"deletes_in_one_collection_only":               deletesInOne,
	"deletes_at_most_the_limit":                    deletesToTheLimit,
	"gives_a_new_place_to_what_is_put_again":       putAgain,
	"does_not_delete_without_ids":                  wantsIDs,
	"refuses_decisions_about_what_was_deleted":     decidesDeleted,
	"finds_the_undecided_after_a_deletion":         undecidedAfterDeletion,
	"keeps_a_deletion_across_a_reopen":             keepsDeletion,
	"counts_deletions_for_ever":                    countsDeletions,
	"lapses_at_once_what_rests_on_what_is_deleted": lapsesBaseless,
	"lapses_dependents_with_what_is_deleted":       lapsesDependents,
	"lapses_very_many_dependents_with_it":          lapsesManyDependents,
	"lets_references_go_with_the_last_version":     dropsReferences,
}

func mustDelete(t *testing.T, s store.Store, collection string, q store.Query) int {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = store.MaxRecords
	}
	n, err := s.DeleteObjects(t.Context(), collection, q)
	if err != nil {
		t.Fatalf("DeleteObjects: %v", err)
	}
	return n
}

func mustCountObjects(t *testing.T, s store.Store, collections ...string) int64 {
	t.Helper()
	n, err := s.CountObjects(t.Context(), collections...)
	if err != nil {
		t.Fatalf("CountObjects: %v", err)
	}
	return n
}

func deletesEverywhere(t *testing.T, e env) {
	all := stored(t, e, 5)
	other := store.View{Feed: "f", Peer: "charlie", Rule: "r"}
	mustDecide(t, e, view("r"), append(share(all[0], all[1]), hold("Red", all[2], all[3])...)...)
	mustDecide(t, e, other, append(share(all[3]), hold("Unmarked", all[0])...)...)
	same(t, "deleted", mustDelete(t, e, "c", store.Query{IDs: objectIDs(0, 3, 4)}), 3)
	same(t, "list", ids(mustList(t, e, "c", store.Query{}).Records), objectIDs(1, 2))
	same(t, "by id", len(mustList(t, e, "c", store.Query{IDs: objectIDs(0)}).Records), 0)
	same(t, "count", mustCountObjects(t, e, "c"), int64(2))
	same(t, "view", ids(mustView(t, e, view("r"), inC, store.Query{}).Records), objectIDs(1))
	same(t, "counts", mustCount(t, e, view("r"), "c"), store.Counts{Shared: 1, Held: map[string]int64{"Red": 1}})
	same(t, "other view", len(mustView(t, e, other, inC, store.Query{}).Records), 0)
	same(t, "counts of the other view", mustCount(t, e, other, "c"), store.Counts{Held: map[string]int64{}, Undecided: 2})
	same(t, "deleted again", mustDelete(t, e, "c", store.Query{IDs: objectIDs(0, 3, 4)}), 0)
	same(t, "deleted where nothing is", mustDelete(t, e, "none", store.Query{IDs: objectIDs(1)}), 0)
	same(t, "count at the end", mustCountObjects(t, e, "c"), int64(2))
}

func deletesVersions(t *testing.T, e env) {
	mustPut(t, e, "c", version(1, 1), version(1, 2), version(1, 3), withSpec(version(1, 4), "2.0"), version(2, 1))
	left := func(want ...string) {
		t.Helper()
		same(t, "what is left", contents(mustList(t, e, "c", store.Query{}).Records), want)
	}
	one := objectIDs(1)
	mustDelete(t, e, "c", store.Query{IDs: one, NewestSpec: true, Versions: last})
	left("1@1", "1@2", "1@4", "2@1")
	mustDelete(t, e, "c", store.Query{IDs: one, Versions: store.Versions{At: []time.Time{version(1, 2).Version}}})
	left("1@1", "1@4", "2@1")
	mustDelete(t, e, "c", store.Query{IDs: one, Specs: []string{"2.0"}})
	left("1@1", "2@1")
	mustDelete(t, e, "c", store.Query{IDs: one})
	left("2@1")
}

func deletesInOne(t *testing.T, e env) {
	mustPut(t, e, "c", object(1))
	mustPut(t, e, "other", object(1))
	mustDecide(t, e, view("r"), share(mustUndecided(t, e, view("r"), 10, "c", "other")...)...)
	mustDelete(t, e, "c", store.Query{IDs: objectIDs(1)})
	same(t, "objects of the other", mustCountObjects(t, e, "other"), int64(1))
	same(t, "view", mustCount(t, e, view("r"), "c", "other"), store.Counts{Shared: 1, Held: map[string]int64{}})
}

func deletesToTheLimit(t *testing.T, e env) {
	mustPut(t, e, "c", version(1, 1), version(1, 2), version(1, 3))
	same(t, "deleted", mustDelete(t, e, "c", store.Query{IDs: objectIDs(1), Limit: 2}), 2)
	same(t, "what is left", contents(mustList(t, e, "c", store.Query{}).Records), []string{"1@3"})
}

func putAgain(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("r"), share(all...)...)
	before := mustView(t, e, view("r"), inC, store.Query{}).Records
	mustDelete(t, e, "c", store.Query{IDs: objectIDs(2)})
	other := object(2)
	other.Raw = []byte("other content")
	same(t, "outcome", mustPut(t, e, "c", other), []store.Outcome{store.Added})
	same(t, "shown before it is decided", ids(mustView(t, e, view("r"), inC, store.Query{}).Records), objectIDs(0, 1))
	found := mustUndecided(t, e, view("r"), 10, "c")
	same(t, "undecided", ids(found), objectIDs(2))
	mustDecide(t, e, view("r"), share(found...)...)
	after := mustView(t, e, view("r"), inC, store.Query{}).Records
	if len(after) != 3 || !after[2].DateAdded.After(before[2].DateAdded) || found[0].Seq <= all[2].Seq {
		t.Errorf("it came again as %+v, after %+v", after, before)
	}
}

func wantsIDs(t *testing.T, e env) {
	stored(t, e, 1)
	if _, err := e.DeleteObjects(t.Context(), "c", store.Query{Limit: 1}); err == nil {
		t.Error("it deletes without ids")
	}
	ctx, cancel := cancelled(t)
	defer cancel()
	if _, err := e.DeleteObjects(ctx, "c", store.Query{Limit: 1, IDs: objectIDs(0)}); err == nil {
		t.Error("it deletes with an ended context")
	}
	same(t, "count", mustCountObjects(t, e, "c"), int64(1))
}

func decidesDeleted(t *testing.T, e env) {
	all := stored(t, e, 2)
	mustDelete(t, e, "c", store.Query{IDs: objectIDs(0)})
	wantErr(t, e.Decide(t.Context(), view("r"), share(all...)), store.ErrNotFound)
	same(t, "undecided", mustUndecided(t, e, view("r"), 10, "c"), all[1:])
}

func undecidedAfterDeletion(t *testing.T, e env) {
	all := stored(t, e, 6)
	mustDecide(t, e, view("r"), share(all[:2]...)...)
	mustDelete(t, e, "c", store.Query{IDs: objectIDs(1, 2, 5)})
	same(t, "undecided", ids(mustUndecided(t, e, view("r"), 10, "c")), objectIDs(3, 4))
	mustDecide(t, e, view("r"), share(all[3], all[4])...)
	mustDelete(t, e, "c", store.Query{IDs: objectIDs(3, 4)})
	mustPut(t, e, "c", object(7))
	same(t, "undecided at the end", ids(mustUndecided(t, e, view("r"), 10, "c")), objectIDs(7))
	same(t, "counts", mustCount(t, e, view("r"), "c"), store.Counts{Shared: 1, Held: map[string]int64{}, Undecided: 1})
}

func keepsDeletion(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("r"), share(all...)...)
	mustDelete(t, e, "c", store.Query{IDs: objectIDs(1)})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	same(t, "view", ids(mustView(t, s, view("r"), inC, store.Query{}).Records), objectIDs(0, 2))
	same(t, "count", mustCountObjects(t, s, "c"), int64(2))
}

func lapsesDependents(t *testing.T, e env) {
	all := stored(t, e, 4)
	mustPut(t, e, "notes", object(9))
	mustDecide(t, e, view("r"), share(append(all, mustUndecided(t, e, view("r"), 10, "notes")...)...)...)
	del := func(ids []string) int {
		t.Helper()
		n, err := e.DeleteObjects(t.Context(), "c", store.Query{IDs: ids, Limit: 10}, store.Dependents{Collection: "c", IDs: objectIDs(1, 1, 8)},
			store.Dependents{Collection: "notes", IDs: objectIDs(9)}, store.Dependents{Collection: "nowhere", IDs: objectIDs(1)}, store.Dependents{Collection: "notes"})
		must(t, err)
		return n
	}
	lapsed := func() []store.Record {
		t.Helper()
		found, err := e.Lapsed(t.Context(), view("r"), []string{"c", "notes"}, epoch, 10)
		must(t, err)
		return found
	}
	same(t, "deleted of what is not there", del(objectIDs(7)), 0)
	same(t, "lapsed with nothing", lapsed(), []store.Record(nil))
	same(t, "deleted", del(objectIDs(0)), 1)
	same(t, "lapsed", ids(lapsed()), objectIDs(1, 9))
	same(t, "counts", mustCount(t, e, view("r"), "c", "notes"), store.Counts{Shared: 2, Held: map[string]int64{}, Undecided: 2})
	same(t, "deleted with what has lapsed", del(objectIDs(2)), 1)
	same(t, "lapsed then", ids(lapsed()), objectIDs(1, 9))
	mustDecide(t, e, view("r"), share(lapsed()...)...)
	same(t, "lapsed no more", lapsed(), []store.Record(nil))
	same(t, "counts in the end", mustCount(t, e, view("r"), "c", "notes"), store.Counts{Shared: 3, Held: map[string]int64{}})
}

func lapsesManyDependents(t *testing.T, e env) {
	const many = 1200
	batch := make([]store.Object, many)
	for i := range batch {
		batch[i] = object(i)
	}
	mustPut(t, e, "c", batch...)
	all := mustUndecided(t, e, view("r"), many, "c")
	mustDecide(t, e, view("r"), share(all...)...)
	rest := ids(all)[2:]
	del := func(id string) int {
		t.Helper()
		n, err := e.DeleteObjects(t.Context(), "c", store.Query{IDs: []string{id}, Limit: 10}, store.Dependents{Collection: "nowhere", IDs: rest},
			store.Dependents{Collection: "c", IDs: rest})
		must(t, err)
		return n
	}
	same(t, "deleted of what is not there", del("x--none"), 0)
	same(t, "counts with nothing deleted", mustCount(t, e, view("r"), "c"), store.Counts{Shared: many, Held: map[string]int64{}})
	same(t, "deleted", del(all[0].ID), 1)
	lapsed, err := e.Lapsed(t.Context(), view("r"), []string{"c"}, epoch, many)
	must(t, err)
	same(t, "lapsed", ids(lapsed), rest)
	same(t, "counts", mustCount(t, e, view("r"), "c"), store.Counts{Shared: 1, Held: map[string]int64{}, Undecided: many - 2})
}
