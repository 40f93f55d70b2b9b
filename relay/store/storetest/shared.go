// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"

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
