// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func mustExplain(t *testing.T, s store.Store, v store.View, id string, limit int, collections ...string) []store.Explained {
	t.Helper()
	found, err := s.Explain(t.Context(), v, collections, id, limit)
	if err != nil {
		t.Fatalf("Explain: %v", err)
	}
	for i := range found {
		if at := found[i].DecidedAt; at.IsZero() && found[i].Rule != "" || !at.IsZero() && time.Since(at).Abs() > time.Minute {
			t.Errorf("version %d was decided at %v", i, at)
		}
		found[i].DecidedAt = time.Time{}
	}
	return found
}

// bare is a record as Explain returns it.
func bare(r store.Record) store.Record {
	r.Raw = nil
	return r
}

func explainsVersions(t *testing.T, e env) {
	first := object(0)
	second, third := first, first
	second.Version, third.Version = first.Version.Add(time.Hour), first.Version.Add(2*time.Hour)
	mustPut(t, e, "c", third, first, object(1))
	mustPut(t, e, "d", second)
	all := append(mustList(t, e, "c", store.Query{}).Records, mustList(t, e, "d", store.Query{}).Records...)
	newest, oldest, middle := all[0], all[1], all[3]
	mustDecide(t, e, view("r"), append(share(oldest), hold("TooSecret", newest)...)...)
	shown := mustView(t, e, view("r"), []string{"c", "d"}, store.Query{}).Records
	want := []store.Explained{
		{Record: bare(oldest), Rule: "r", Share: true, Reason: "Allowed", SharedAt: shown[0].DateAdded},
		{Record: bare(middle)},
		{Record: bare(newest), Rule: "r", Reason: "TooSecret"},
	}
	same(t, "all", mustExplain(t, e, view("r"), first.ID, 10, "c", "d"), want)
	same(t, "the first two", mustExplain(t, e, view("r"), first.ID, 2, "c", "d"), want[:2])
	same(t, "one collection", mustExplain(t, e, view("r"), first.ID, 10, "d"), want[1:2])
}

func explainsOldRule(t *testing.T, e env) {
	all := stored(t, e, 1)
	mustDecide(t, e, view("old"), hold("TooSecret", all...)...)
	want := []store.Explained{{Record: bare(all[0]), Rule: "old", Reason: "TooSecret"}}
	same(t, "under a new rule", mustExplain(t, e, view("new"), all[0].ID, 1, "c"), want)
	other := view("old")
	other.Peer = "charlie"
	same(t, "for another peer", mustExplain(t, e, other, all[0].ID, 1, "c"), []store.Explained{{Record: bare(all[0])}})
}

func explainsNothing(t *testing.T, e env) {
	stored(t, e, 1)
	same(t, "another object", mustExplain(t, e, view("r"), object(7).ID, 1, "c"), []store.Explained(nil))
	same(t, "another collection", mustExplain(t, e, view("r"), object(0).ID, 1, "elsewhere"), []store.Explained(nil))
	if _, err := e.Explain(t.Context(), view("r"), inC, object(0).ID, 0); err == nil {
		t.Error("a limit of 0 was accepted")
	}
}
