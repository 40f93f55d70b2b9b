// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func tellsWhereSharedLies(t *testing.T, e env) {
	mustPut(t, e, "c", objects(0, 2)...)
	mustPut(t, e, "d", objects(2, 4)...)
	mustPut(t, e, "e", objects(4, 5)...)
	in := func(collection string) []store.Record { return mustList(t, e, collection, store.Query{}).Records }
	from := func(want ...string) {
		t.Helper()
		found, err := e.SharedFrom(t.Context(), view("r").Feed, view("r").Peer)
		must(t, err)
		same(t, "collections", append([]string{}, found...), append([]string{}, want...))
	}
	from()
	mustDecide(t, e, view("r"), share(append(in("d"), in("c")...)...)...)
	mustDecide(t, e, view("r"), hold("TooSecret", in("e")...)...)
	from("c", "d")
	mustDecide(t, e, view("s"), hold("TooSecret", in("c")...)...)
	from("d")
	must(t, e.Lapse(t.Context(), "d", objectIDs(2, 3)))
	from("d")
}

func hidesExpired(t *testing.T, e env) {
	all := stored(t, e, 3)
	decisions := share(all...)
	decisions[0].Until, decisions[1].Until = epoch, epoch.Add(time.Second)
	mustDecide(t, e, view("r"), decisions...)
	for at, want := range map[time.Time][]string{
		{}: objectIDs(0, 1, 2), epoch.Add(-time.Second): objectIDs(0, 1, 2), epoch: objectIDs(1, 2), epoch.Add(time.Minute): objectIDs(2),
	} {
		same(t, "shown at "+at.String(), ids(mustView(t, e, view("r"), inC, store.Query{Now: at}).Records), want)
		same(t, "the last at "+at.String(), ids(mustView(t, e, view("r"), inC, store.Query{Now: at, Versions: store.Versions{Last: true}}).Records), want)
		same(t, "by id at "+at.String(), ids(mustView(t, e, view("r"), inC, store.Query{Now: at, IDs: objectIDs(0, 1, 2)}).Records), want)
	}
}
