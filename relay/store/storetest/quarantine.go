// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var quarantineTests = map[string]func(t *testing.T, e env){
	"keeps_the_quarantine_across_a_reopen":                              keepsQuarantine,
	"quarantines_the_same_content_once":                                 onceInQuarantine,
	"lists_the_quarantine_in_pages_and_by_object":                       listsQuarantine,
	"accepts_in_the_place_of_what_is_stored":                            acceptsQuarantined,
	"accepts_what_is_not_stored":                                        acceptsNew,
	"drops_for_good":                                                    dropsQuarantined,
	"settles_an_item_once":                                              settlesOnce,
	"counts_what_finds_no_room_in_quarantine":                           overflowsQuarantine,
	"keeps_since_when_an_object_is_revoked":                             keepsRevocations,
	"keeps_revocations_of_what_is_there_and_the_newest_of_what_is_gone": boundsRevocations,
	"refuses_what_is_out_of_bounds_of_the_quarantine":                   quarantineLimits,
}

func item(n int, content string) store.Quarantined {
	o := object(n)
	o.Raw = []byte(content)
	return store.Quarantined{Object: o, Reason: "Forked", At: epoch}
}

func mustQuarantine(t *testing.T, s store.Store, collection string, items ...store.Quarantined) {
	t.Helper()
	if err := s.PutQuarantined(t.Context(), collection, items); err != nil {
		t.Fatalf("PutQuarantined: %v", err)
	}
}

func mustQuarantined(t *testing.T, s store.Store, q store.QuarantineQuery) store.QuarantinePage {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = store.MaxRecords
	}
	page, err := s.ListQuarantined(t.Context(), q)
	if err != nil {
		t.Fatalf("ListQuarantined: %v", err)
	}
	return page
}

func mustSettle(t *testing.T, s store.Store, seq int64, state store.ItemState) store.Quarantined {
	t.Helper()
	got, err := s.SettleQuarantined(t.Context(), "c", seq, state, "desk")
	if err != nil {
		t.Fatalf("SettleQuarantined: %v", err)
	}
	return got
}

func quarantineCounts(t *testing.T, s store.Store, collection string) store.QuarantineCounts {
	t.Helper()
	c, err := s.CountQuarantined(t.Context(), collection)
	if err != nil {
		t.Fatalf("CountQuarantined: %v", err)
	}
	return c
}

// heldContents are the items' content, without positions.
func heldContents(page store.QuarantinePage) []string {
	var all []string
	for _, i := range page.Items {
		all = append(all, string(i.Raw))
	}
	return all
}

func keepsQuarantine(t *testing.T, e env) {
	none := item(2, "two")
	none.Version = time.Time{}
	mustQuarantine(t, e, "c", item(1, "one\x00"), none)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	page := mustQuarantined(t, s, store.QuarantineQuery{Collection: "c"})
	want := []store.Quarantined{item(1, "one\x00"), none}
	for i := range page.Items {
		want[i].Seq = page.Items[i].Seq
	}
	same(t, "items", page.Items, want)
	same(t, "counts", quarantineCounts(t, s, "c"), store.QuarantineCounts{Held: 2, Bytes: 7})
	same(t, "counts of another collection", quarantineCounts(t, s, "d"), store.QuarantineCounts{})
	if page.Items[1].Seq <= page.Items[0].Seq {
		t.Error("positions do not grow")
	}
}

func onceInQuarantine(t *testing.T, e env) {
	other := item(1, "one")
	other.Reason = "CreatorNotAllowed"
	mustQuarantine(t, e, "c", item(1, "one"), item(1, "one"), item(1, "two"))
	mustQuarantine(t, e, "c", item(1, "one"), other)
	same(t, "items", heldContents(mustQuarantined(t, e, store.QuarantineQuery{Collection: "c"})), []string{"one", "two", "one"})
	same(t, "counts", quarantineCounts(t, e, "c"), store.QuarantineCounts{Held: 3, Bytes: 9})
}

func listsQuarantine(t *testing.T, e env) {
	var want []string
	for n := range 7 {
		mustQuarantine(t, e, "c", item(n%3, fmt.Sprint("x", n)))
		want = append(want, fmt.Sprint("x", n))
	}
	var got []string
	q := store.QuarantineQuery{Collection: "c", Limit: 3}
	for {
		page := mustQuarantined(t, e, q)
		got = append(got, heldContents(page)...)
		if q.After = page.Next; q.After == 0 {
			break
		}
	}
	same(t, "items by page", got, want)
	same(t, "items of an object", heldContents(mustQuarantined(t, e, store.QuarantineQuery{Collection: "c", ID: object(1).ID})), []string{"x1", "x4"})
	same(t, "items of nothing", heldContents(mustQuarantined(t, e, store.QuarantineQuery{Collection: "d"})), []string(nil))
	for _, i := range mustQuarantined(t, e, store.QuarantineQuery{Collection: "c", NoContent: true}).Items {
		if len(i.Raw) > 0 || i.ID == "" {
			t.Errorf("item = %+v", i)
		}
	}
}

func acceptsQuarantined(t *testing.T, e env) {
	mustPut(t, e, "c", objects(1, 4)...)
	before := mustList(t, e, "c", store.Query{})
	mustQuarantine(t, e, "c", item(2, "changed"))
	held := mustQuarantined(t, e, store.QuarantineQuery{Collection: "c"}).Items[0]
	got := mustSettle(t, e, held.Seq, store.Accepted)
	if got.State != store.Accepted || got.SettledBy != "desk" || got.SettledAt.IsZero() || string(got.Raw) != string(object(2).Raw) {
		t.Errorf("settled = %+v", got)
	}
	after := mustList(t, e, "c", store.Query{})
	var raws []string
	for _, r := range after.Records {
		raws = append(raws, string(r.Raw))
	}
	same(t, "records", raws, []string{string(object(1).Raw), string(object(3).Raw), "changed"})
	if last := after.Records[2]; !last.DateAdded.After(before.Records[2].DateAdded) {
		t.Errorf("added at %v, not after %v", last.DateAdded, before.Records[2].DateAdded)
	}
	if n, err := e.CountObjects(t.Context(), "c"); n != 3 || err != nil {
		t.Errorf("objects = %d, %v", n, err)
	}
	same(t, "held", mustQuarantined(t, e, store.QuarantineQuery{Collection: "c"}), store.QuarantinePage{})
	same(t, "the record", mustQuarantined(t, e, store.QuarantineQuery{Collection: "c", Settled: true}).Items, []store.Quarantined{got})
	same(t, "counts", quarantineCounts(t, e, "c"), store.QuarantineCounts{})
}

func acceptsNew(t *testing.T, e env) {
	mustQuarantine(t, e, "c", item(1, "new"))
	held := mustQuarantined(t, e, store.QuarantineQuery{Collection: "c"}).Items[0]
	if got := mustSettle(t, e, held.Seq, store.Accepted); len(got.Raw) > 0 {
		t.Errorf("it replaced %s", got.Raw)
	}
	records := mustList(t, e, "c", store.Query{}).Records
	if len(records) != 1 || string(records[0].Raw) != "new" || records[0].ID != object(1).ID || records[0].Type != "indicator" {
		t.Errorf("records = %+v", records)
	}
}

func dropsQuarantined(t *testing.T, e env) {
	mustQuarantine(t, e, "c", item(1, "bad"), item(2, "other"))
	held := mustQuarantined(t, e, store.QuarantineQuery{Collection: "c"}).Items[0]
	if got := mustSettle(t, e, held.Seq, store.Dropped); got.State != store.Dropped || len(got.Raw) > 0 {
		t.Errorf("settled = %+v", got)
	}
	mustQuarantine(t, e, "c", item(1, "bad"))
	same(t, "held", heldContents(mustQuarantined(t, e, store.QuarantineQuery{Collection: "c"})), []string{"other"})
	same(t, "counts", quarantineCounts(t, e, "c"), store.QuarantineCounts{Held: 1, Bytes: 5})
	if n, err := e.CountObjects(t.Context(), "c"); n != 0 || err != nil {
		t.Errorf("objects = %d, %v", n, err)
	}
}

func settlesOnce(t *testing.T, e env) {
	mustQuarantine(t, e, "c", item(1, "one"))
	seq := mustQuarantined(t, e, store.QuarantineQuery{Collection: "c"}).Items[0].Seq
	if _, err := e.SettleQuarantined(t.Context(), "d", seq, store.Dropped, "desk"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in another collection: %v", err)
	}
	if _, err := e.SettleQuarantined(t.Context(), "c", seq+1, store.Dropped, "desk"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of another position: %v", err)
	}
	if item, err := e.SettleQuarantined(t.Context(), "c", seq, store.Dropped, "desk\x00\xff"); err != nil || !strings.HasPrefix(item.SettledBy, "desk") {
		t.Errorf("by a name of odd bytes: %q, %v", item.SettledBy, err)
	}
	if _, err := e.SettleQuarantined(t.Context(), "c", seq, store.Accepted, "desk"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second time: %v", err)
	}
}

func overflowsQuarantine(t *testing.T, e env) {
	big := strings.Repeat("x", 1<<20)
	for n := range 70 {
		mustQuarantine(t, e, "c", item(n, big))
	}
	same(t, "counts by bytes", quarantineCounts(t, e, "c"), store.QuarantineCounts{Held: 64, Bytes: 64 << 20, Overflow: 6})
	for from := 0; from < store.MaxQuarantined+10; from += 5005 {
		var part []store.Quarantined
		for n := from; n < from+5005; n++ {
			part = append(part, item(n, "x"))
		}
		mustQuarantine(t, e, "d", part...)
	}
	same(t, "counts by number", quarantineCounts(t, e, "d"), store.QuarantineCounts{Held: store.MaxQuarantined, Bytes: store.MaxQuarantined, Overflow: 10})
	page := mustQuarantined(t, e, store.QuarantineQuery{Collection: "c"})
	if len(page.Items) != 8 || page.Next == 0 {
		t.Errorf("a page of %d items, next %d", len(page.Items), page.Next)
	}
	seq := page.Items[0].Seq
	mustSettle(t, e, seq, store.Dropped)
	mustQuarantine(t, e, "c", item(100, big))
	same(t, "counts after one was dropped", quarantineCounts(t, e, "c"), store.QuarantineCounts{Held: 64, Bytes: 64 << 20, Overflow: 6})
}

func keepsRevocations(t *testing.T, e env) {
	note := func(since map[string]time.Time) {
		t.Helper()
		if err := e.NoteRevocations(t.Context(), "c", since); err != nil {
			t.Fatal(err)
		}
	}
	note(map[string]time.Time{"a": epoch, "b": epoch})
	note(map[string]time.Time{"a": epoch.Add(time.Hour), "b": epoch.Add(-time.Hour)})
	got, err := e.Revoked(t.Context(), "c", []string{"a", "b", "d"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "revoked", got, map[string]time.Time{"a": epoch, "b": epoch.Add(-time.Hour)})
	if got, err := e.Revoked(t.Context(), "other", []string{"a"}); len(got) != 0 || err != nil {
		t.Errorf("in another collection: %v, %v", got, err)
	}
}

func quarantineLimits(t *testing.T, e env) {
	many := slices.Repeat([]string{"x"}, store.MaxRecords+1)
	_, list := e.ListQuarantined(t.Context(), store.QuarantineQuery{Collection: "c"})
	_, revoked := e.Revoked(t.Context(), "c", many)
	_, unnamed := e.SettleQuarantined(t.Context(), "c", 1, store.Dropped, "")
	_, held := e.SettleQuarantined(t.Context(), "c", 1, store.Held, "desk")
	for what, err := range map[string]error{
		"a list without limit": list, "too many ids": revoked, "nobody who settles": unnamed, "settling as held": held,
		"too many items": e.PutQuarantined(t.Context(), "c", make([]store.Quarantined, store.MaxRecords+1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
