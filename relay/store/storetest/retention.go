// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func mustDeletions(t *testing.T, s store.Store, collections ...string) int64 {
	t.Helper()
	n, err := s.Deletions(t.Context(), collections...)
	must(t, err)
	return n
}

func countsDeletions(t *testing.T, e env) {
	mustPut(t, e, "c", objects(0, 3)...)
	mustPut(t, e, "d", objects(0, 3)...)
	same(t, "before", mustDeletions(t, e, "c", "d", "none"), int64(0))
	mustDelete(t, e, "c", store.Query{IDs: objectIDs(0, 1)})
	mustDelete(t, e, "d", store.Query{IDs: objectIDs(2)})
	mustDelete(t, e, "d", store.Query{IDs: objectIDs(2)})
	mustPut(t, e, "c", objects(0, 3)...)
	same(t, "of one", mustDeletions(t, e, "c"), int64(2))
	same(t, "of both after a reopen", mustDeletions(t, e.reopen(t, Options{}), "c", "d"), int64(3))
}

// lapsesBaseless stores decisions that were made before something was deleted.
func lapsesBaseless(t *testing.T, e env) {
	all := stored(t, e, 5)
	mustPut(t, e, "d", object(9))
	basis := &store.Basis{Collections: []string{"c", "d", "none"}, Deletions: mustDeletions(t, e, "c", "d", "none")}
	resting := func(list []store.Decision) []store.Decision {
		for i := range list {
			list[i].Rests = basis
		}
		return list
	}
	mustDecide(t, e, view("r"), append(resting(hold("Container", all[0])), share(all[4])...)...)
	same(t, "lapsed while it holds", mustLapsed(t, e, view("r"), epoch), []store.Record(nil))
	mustDelete(t, e, "d", store.Query{IDs: objectIDs(9)})
	mustDecide(t, e, view("r"), append(resting(append(hold("Container", all[1]), share(all[2])...)), share(all[3])...)...)
	again := e.reopen(t, Options{})
	same(t, "lapsed", ids(mustLapsed(t, again, view("r"), epoch)), objectIDs(1, 2))
	same(t, "view", ids(mustView(t, again, view("r"), inC, store.Query{}).Records), objectIDs(4))
	basis.Deletions = mustDeletions(t, again, "c", "d", "none")
	mustDecide(t, again, view("r"), resting(share(all[1], all[2]))...)
	same(t, "lapsed in the end", mustLapsed(t, again, view("r"), epoch), []store.Record(nil))
	same(t, "counts in the end", mustCount(t, again, view("r"), "c"), store.Counts{Shared: 4, Held: map[string]int64{"Container": 1}})
}

func dropsReferences(t *testing.T, e env) {
	first := object(0)
	second := first
	second.Version, second.Raw = first.Version.Add(time.Hour), []byte(`{"later":1}`)
	other, to := object(1), object(2).ID
	mustPut(t, e, "c", first, second, other)
	mustPut(t, e, "d", first)
	for _, c := range []string{"c", "d"} {
		must(t, e.PutReferences(t.Context(), c, []store.Reference{{Kind: "contains", From: first.ID, To: to}, {Kind: "contains", From: other.ID, To: to}}))
	}
	from := func(collection string) (all []string) {
		found, err := e.ReferencesTo(t.Context(), collection, []string{to}, 10)
		must(t, err)
		for _, r := range found {
			all = append(all, r.From)
		}
		return all
	}
	both := []string{first.ID, other.ID}
	slices.Sort(both)
	mustDelete(t, e, "c", store.Query{IDs: []string{first.ID}, Versions: store.Versions{First: true}})
	same(t, "while a version is there", from("c"), both)
	mustDelete(t, e, "c", store.Query{IDs: []string{first.ID}})
	same(t, "after the last version", from("c"), []string{other.ID})
	same(t, "in another collection", from("d"), both)
}

// boundsRevocations notes one more than may stay, has all but one object go, and looks who is forgotten.
func boundsRevocations(t *testing.T, e env) {
	all := objects(0, store.MaxGoneRevocations+2)
	since, named := map[string]time.Time{}, make([]string, len(all))
	for i, o := range all {
		since[o.ID], named[i] = epoch, o.ID
	}
	for part := range slices.Chunk(all, store.MaxRecords) {
		mustPut(t, e, "c", part...)
		some := map[string]time.Time{}
		for _, o := range part {
			some[o.ID] = since[o.ID]
		}
		must(t, e.NoteRevocations(t.Context(), "c", some))
	}
	known := func() (n int) {
		for part := range slices.Chunk(named, store.MaxRecords) {
			found, err := e.Revoked(t.Context(), "c", part)
			must(t, err)
			n += len(found)
		}
		return n
	}
	// The first one stays stored, and so revoked, however many others go.
	for part := range slices.Chunk(named[1:store.MaxGoneRevocations+1], store.MaxSelectors) {
		mustDelete(t, e, "c", store.Query{IDs: part})
	}
	same(t, "while there is room", known(), len(all))
	mustDelete(t, e, "c", store.Query{IDs: named[len(named)-1:]})
	same(t, "when one more is gone", known(), len(all)-1)
	found, err := e.Revoked(t.Context(), "c", []string{named[0], named[len(named)-1]})
	must(t, err)
	same(t, "of what is there, and of what went last", len(found), 2)
}
