// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

var viewTests = map[string]func(t *testing.T, e env){
	"shows_nothing_without_a_decision":                    undecidedIsHidden,
	"shows_what_is_shared_and_counts_what_is_held":        sharesAndHolds,
	"keeps_views_of_peers_and_feeds_apart":                keepsViewsApart,
	"hides_all_under_another_rule_until_decided_again":    ruleChange,
	"keeps_the_place_of_what_stays_shared":                keepsPlace,
	"gives_a_later_place_to_what_is_newly_shared":         newPlace,
	"ends_before_records_that_wait_for_the_new_rule":      endsBeforeStale,
	"finds_the_undecided_in_order_across_collections":     findsUndecided,
	"finds_the_undecided_behind_the_decided":              findsLaterUndecided,
	"finds_all_again_when_a_rule_returns":                 ruleReturns,
	"repeats_a_decision_without_effect":                   repeatsDecision,
	"stores_no_decision_of_a_call_with_an_unknown_record": unknownRecord,
	"selects_and_pages_in_a_view":                         selectsInView,
	"counts_and_lists_the_collections_that_are_asked_for": someCollections,
	"keeps_decisions_across_a_reopen":                     keepsDecisions,
	"explains_each_version_of_an_object":                  explainsVersions,
	"explains_what_another_rule_decided":                  explainsOldRule,
	"explains_nothing_of_an_unknown_object":               explainsNothing,
	"hides_what_is_to_be_decided_again_by_now":            hidesExpired,
	"tells_of_which_collections_it_shares_something":      tellsWhereSharedLies,
}

func cancelled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

func view(rule string) store.View { return store.View{Feed: "f", Peer: "bravo", Rule: rule} }

func share(records ...store.Record) []store.Decision {
	var all []store.Decision
	for _, r := range records {
		all = append(all, store.Decision{Seq: r.Seq, Share: true, Reason: "Allowed"})
	}
	return all
}

func hold(reason string, records ...store.Record) []store.Decision {
	var all []store.Decision
	for _, r := range records {
		all = append(all, store.Decision{Seq: r.Seq, Reason: reason})
	}
	return all
}

func mustUndecided(t *testing.T, s store.Store, v store.View, limit int, collections ...string) []store.Record {
	t.Helper()
	records, err := s.Undecided(t.Context(), v, collections, limit)
	if err != nil {
		t.Fatalf("Undecided: %v", err)
	}
	return records
}

// stored puts n objects into collection c and returns their records.
func stored(t *testing.T, s store.Store, n int) []store.Record {
	t.Helper()
	mustPut(t, s, "c", objects(0, n)...)
	return mustList(t, s, "c", store.Query{}).Records
}

var inC = []string{"c"}

func undecidedIsHidden(t *testing.T, e env) {
	all := stored(t, e, 3)
	same(t, "view", mustView(t, e, view("r"), inC, store.Query{}), store.Page{})
	same(t, "counts", mustCount(t, e, view("r"), "c"), store.Counts{Held: map[string]int64{}, Undecided: 3})
	same(t, "undecided", mustUndecided(t, e, view("r"), 10, "c"), all)
}

func sharesAndHolds(t *testing.T, e env) {
	all := stored(t, e, 6)
	mustDecide(t, e, view("r"), append(share(all[0], all[3]), append(hold("Unmarked", all[1], all[2]), hold("Red", all[4])...)...)...)
	same(t, "shown", ids(mustView(t, e, view("r"), inC, store.Query{}).Records), objectIDs(0, 3))
	same(t, "counts", mustCount(t, e, view("r"), "c"),
		store.Counts{Shared: 2, Held: map[string]int64{"Unmarked": 2, "Red": 1}, Undecided: 1})
	same(t, "undecided", mustUndecided(t, e, view("r"), 10, "c"), all[5:])
	got := mustView(t, e, view("r"), inC, store.Query{}).Records[0]
	if got.Seq != all[0].Seq || got.Collection != "c" || string(got.Raw) != string(all[0].Raw) {
		t.Errorf("the view shows %+v of %+v", got, all[0])
	}
}

func keepsViewsApart(t *testing.T, e env) {
	all := stored(t, e, 2)
	other := []store.View{{Feed: "f", Peer: "charlie", Rule: "r"}, {Feed: "g", Peer: "bravo", Rule: "r"}}
	mustDecide(t, e, view("r"), share(all...)...)
	mustDecide(t, e, other[0], hold("Red", all...)...)
	for _, v := range other {
		same(t, "shown in another view", len(mustView(t, e, v, inC, store.Query{}).Records), 0)
	}
	same(t, "shown", len(mustView(t, e, view("r"), inC, store.Query{}).Records), 2)
	same(t, "undecided in another view", mustCount(t, e, other[1], "c").Undecided, int64(2))
}

func ruleChange(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("old"), share(all...)...)
	same(t, "shown under the new rule", mustView(t, e, view("new"), inC, store.Query{}), store.Page{})
	same(t, "undecided", mustUndecided(t, e, view("new"), 10, "c"), all)
	same(t, "counts", mustCount(t, e, view("new"), "c"), store.Counts{Held: map[string]int64{}, Undecided: 3})
	mustDecide(t, e, view("new"), append(hold("Red", all[0], all[2]), share(all[1])...)...)
	same(t, "shown", ids(mustView(t, e, view("new"), inC, store.Query{}).Records), objectIDs(1))
	same(t, "shown under the old rule", len(mustView(t, e, view("old"), inC, store.Query{}).Records), 0)
	same(t, "counts", mustCount(t, e, view("new"), "c"), store.Counts{Shared: 1, Held: map[string]int64{"Red": 2}})
	same(t, "counts of the old rule", mustCount(t, e, view("old"), "c"), store.Counts{Held: map[string]int64{}, Undecided: 3})
}

func keepsPlace(t *testing.T, e env) {
	all := stored(t, e, 4)
	mustDecide(t, e, view("old"), share(all...)...)
	before := mustView(t, e, view("old"), inC, store.Query{}).Records
	mustDecide(t, e, view("new"), share(all[2], all[0], all[3], all[1])...)
	same(t, "records", mustView(t, e, view("new"), inC, store.Query{}).Records, before)
}

func newPlace(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("old"), append(share(all[1], all[2]), hold("Red", all[0])...)...)
	mustDecide(t, e, view("new"), append(share(all[0], all[2]), hold("Red", all[1])...)...)
	shown := mustView(t, e, view("new"), inC, store.Query{}).Records
	same(t, "order", ids(shown), objectIDs(2, 0))
	growing(t, shown)
	// A record that was shared, held and is shared again was away: it comes again.
	mustDecide(t, e, view("newest"), share(all...)...)
	shown = mustView(t, e, view("newest"), inC, store.Query{}).Records
	same(t, "order after it returned", ids(shown), objectIDs(2, 0, 1))
	// A later object never comes before what a reader has seen.
	mustPut(t, e, "c", object(9))
	last := mustUndecided(t, e, view("newest"), 10, "c")
	mustDecide(t, e, view("newest"), share(last...)...)
	same(t, "what follows", ids(mustView(t, e, view("newest"), inC, store.Query{After: shown[2].DateAdded.UnixMicro()}).Records), objectIDs(9))
}

func endsBeforeStale(t *testing.T, e env) {
	all := stored(t, e, 5)
	mustDecide(t, e, view("old"), append(share(all[:4]...), hold("Red", all[4])...)...)
	mustDecide(t, e, view("new"), append(share(all[0], all[1]), share(all[4])...)...)
	page := mustView(t, e, view("new"), inC, store.Query{})
	same(t, "shown while two wait", ids(page.Records), objectIDs(0, 1))
	mustDecide(t, e, view("new"), share(all[2])...)
	same(t, "shown while one waits", ids(mustView(t, e, view("new"), inC, store.Query{}).Records), objectIDs(0, 1, 2))
	mustDecide(t, e, view("new"), hold("Red", all[3])...)
	same(t, "what follows at the end", ids(mustView(t, e, view("new"), inC,
		store.Query{After: page.Records[1].DateAdded.UnixMicro()}).Records), objectIDs(2, 4))
}

func findsUndecided(t *testing.T, e env) {
	mustPut(t, e, "one", object(0), object(1))
	mustPut(t, e, "two", object(2))
	mustPut(t, e, "one", object(3))
	mustPut(t, e, "two", object(4))
	mustPut(t, e, "other", object(5))
	found := mustUndecided(t, e, view("r"), 4, "one", "two", "none")
	same(t, "found", ids(found), objectIDs(0, 1, 2, 3))
	mustDecide(t, e, view("r"), share(found[0], found[2])...)
	same(t, "found next", ids(mustUndecided(t, e, view("r"), 10, "one", "two")), objectIDs(1, 3, 4))
	same(t, "found in one", ids(mustUndecided(t, e, view("r"), 10, "one")), objectIDs(1, 3))
}

func findsLaterUndecided(t *testing.T, e env) {
	all := stored(t, e, 10)
	mustDecide(t, e, view("r"), share(append(all[5:], all[:2]...)...)...)
	same(t, "found between", ids(mustUndecided(t, e, view("r"), 10, "c")), objectIDs(2, 3, 4))
	mustDecide(t, e, view("r"), share(all[2:5]...)...)
	same(t, "found at the end", mustUndecided(t, e, view("r"), 10, "c"), []store.Record(nil))
	mustPut(t, e, "c", object(10), object(11))
	same(t, "found after a put", ids(mustUndecided(t, e, view("r"), 1, "c")), objectIDs(10))
}

func ruleReturns(t *testing.T, e env) {
	all := stored(t, e, 4)
	mustDecide(t, e, view("a"), share(all...)...)
	mustDecide(t, e, view("b"), hold("Red", all[1])...)
	same(t, "undecided under the first rule", ids(mustUndecided(t, e, view("a"), 10, "c")), objectIDs(1))
	same(t, "undecided under the second", ids(mustUndecided(t, e, view("b"), 10, "c")), objectIDs(0, 2, 3))
	mustDecide(t, e, view("a"), share(all[1])...)
	same(t, "shown at the end", ids(mustView(t, e, view("a"), inC, store.Query{}).Records), objectIDs(0, 2, 3, 1))
	same(t, "counts", mustCount(t, e, view("a"), "c"), store.Counts{Shared: 4, Held: map[string]int64{}})
}

func repeatsDecision(t *testing.T, e env) {
	all := stored(t, e, 2)
	decisions := append(share(all[0]), hold("Red", all[1])...)
	mustDecide(t, e, view("r"), decisions...)
	before, counts := mustView(t, e, view("r"), inC, store.Query{}), mustCount(t, e, view("r"), "c")
	mustDecide(t, e, view("r"), append(decisions, decisions...)...)
	mustDecide(t, e, view("r"))
	same(t, "view", mustView(t, e, view("r"), inC, store.Query{}), before)
	same(t, "counts", mustCount(t, e, view("r"), "c"), counts)
	mustDecide(t, e, view("r"), hold("Expired", all[0])...)
	same(t, "counts after another decision", mustCount(t, e, view("r"), "c"),
		store.Counts{Held: map[string]int64{"Red": 1, "Expired": 1}})
}

func unknownRecord(t *testing.T, e env) {
	all := stored(t, e, 1)
	wantErr(t, e.Decide(t.Context(), view("r"), append(share(all[0]), store.Decision{Seq: all[0].Seq + 1, Share: true})), store.ErrNotFound)
	same(t, "undecided", mustCount(t, e, view("r"), "c").Undecided, int64(1))
}

func selectsInView(t *testing.T, e env) {
	mustPut(t, e, "c", objects(0, 9)...)
	mustPut(t, e, "c", store.Object{ID: "malware--1", Type: "malware", Raw: []byte("m")})
	all := mustList(t, e, "c", store.Query{}).Records
	mustDecide(t, e, view("r"), append(share(all[5:]...), hold("Red", all[:5]...)...)...)
	list := func(q store.Query) []string { t.Helper(); return ids(mustView(t, e, view("r"), inC, q).Records) }
	same(t, "by id", list(store.Query{IDs: objectIDs(6, 1)}), objectIDs(6))
	same(t, "by type", list(store.Query{Types: []string{"malware"}}), []string{"malware--1"})
	same(t, "by unknown type", list(store.Query{Types: []string{"tool"}}), []string(nil))
	first := mustView(t, e, view("r"), inC, store.Query{Limit: 2})
	same(t, "first page", ids(first.Records), objectIDs(5, 6))
	second := mustView(t, e, view("r"), inC, store.Query{Limit: 3, After: first.Next})
	same(t, "second page", ids(second.Records), append(objectIDs(7, 8), "malware--1"))
	same(t, "end", second.Next, int64(0))
	same(t, "by time", list(store.Query{AddedAfter: first.Records[1].DateAdded, IDs: objectIDs(6, 7)}), objectIDs(7))
}

func someCollections(t *testing.T, e env) {
	mustPut(t, e, "one", objects(0, 2)...)
	mustPut(t, e, "two", objects(2, 5)...)
	both := []string{"one", "two"}
	mustDecide(t, e, view("r"), share(mustUndecided(t, e, view("r"), 10, both...)...)...)
	same(t, "both", ids(mustView(t, e, view("r"), both, store.Query{}).Records), objectIDs(0, 1, 2, 3, 4))
	same(t, "two", ids(mustView(t, e, view("r"), []string{"two"}, store.Query{}).Records), objectIDs(2, 3, 4))
	same(t, "by id in two", ids(mustView(t, e, view("r"), []string{"two"}, store.Query{IDs: objectIDs(0, 2)}).Records), objectIDs(2))
	same(t, "none", len(mustView(t, e, view("r"), nil, store.Query{}).Records), 0)
	same(t, "count of one", mustCount(t, e, view("r"), "one"), store.Counts{Shared: 2, Held: map[string]int64{}})
	// A source that left the feed keeps stale decisions; they hold up nobody.
	mustDecide(t, e, view("new"), share(mustList(t, e, "two", store.Query{}).Records...)...)
	same(t, "two under a new rule", ids(mustView(t, e, view("new"), []string{"two"}, store.Query{}).Records), objectIDs(2, 3, 4))
}

func keepsDecisions(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("r"), append(share(all[0]), hold("Red", all[1])...)...)
	before, counts := mustView(t, e, view("r"), inC, store.Query{}), mustCount(t, e, view("r"), "c")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	same(t, "view", mustView(t, s, view("r"), inC, store.Query{}), before)
	same(t, "counts", mustCount(t, s, view("r"), "c"), counts)
	same(t, "undecided", ids(mustUndecided(t, s, view("r"), 10, "c")), objectIDs(2))
}
