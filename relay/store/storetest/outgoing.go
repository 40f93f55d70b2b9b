// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var outgoingTests = map[string]func(t *testing.T, e env){
	"hands_out_what_a_view_shows":                            handsOut,
	"withdraws_what_was_handed_out_and_is_held":              withdrawsHeld,
	"withdraws_what_was_handed_out_and_is_deleted":           withdrawsDeleted,
	"withdraws_nothing_that_was_only_shared":                 withdrawsOnlyHanded,
	"withdraws_before_it_shares_in_another_form":             replacesForms,
	"changes_the_form_in_place_before_it_was_handed_out":     changesForms,
	"keeps_evidence_until_the_next_decision":                 keepsEvidence,
	"finds_what_has_lapsed_with_time":                        findsExpired,
	"hides_what_was_lapsed_and_finds_it_again":               lapses,
	"lapses_what_a_new_reference_names":                      lapsesReferred,
	"finds_references_by_what_they_refer_to":                 findsReferences,
	"finds_revocations_before_all_else":                      findsRevoked,
	"moves_progress_forward_only":                            movesProgress,
	"leaves_all_as_it_is_when_an_older_receipt_comes_again":  ignoresOldReceipts,
	"keeps_the_last_refusal_of_a_version":                    keepsRefusals,
	"never_loses_what_is_handed_out_while_it_is_taken_back":  handsOutUnderChange,
	"never_loses_the_form_in_which_something_was_handed_out": changesFormsUnderPages,
}

func mustHandOut(t *testing.T, s store.Store, v store.View, q store.Query) store.Page {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = store.MaxRecords
	}
	page, err := s.HandOut(t.Context(), v, inC, q)
	if err != nil {
		t.Fatalf("HandOut: %v", err)
	}
	return page
}

func mustWithdrawals(t *testing.T, s store.Store) []store.Withdrawal {
	t.Helper()
	found, err := s.Withdrawals(t.Context(), "f", "bravo", store.MaxRecords)
	if err != nil {
		t.Fatalf("Withdrawals: %v", err)
	}
	return found
}

// withdrawn are the ids of the withdrawals, whose positions must grow.
func withdrawn(t *testing.T, s store.Store) []string {
	t.Helper()
	var all []string
	last := int64(0)
	for _, w := range mustWithdrawals(t, s) {
		if w.Position <= last || !w.Version.Equal(epoch) {
			t.Errorf("withdrawal %+v follows %d", w, last)
		}
		last = w.Position
		all = append(all, w.ID)
	}
	return all
}

func mustLapsed(t *testing.T, s store.Store, v store.View, now time.Time) []store.Record {
	t.Helper()
	found, err := s.Lapsed(t.Context(), v, inC, now, 100)
	if err != nil {
		t.Fatalf("Lapsed: %v", err)
	}
	return found
}

func mustProgress(t *testing.T, s store.Store) store.Progress {
	t.Helper()
	p, err := s.Progress(t.Context(), "f", "bravo")
	if err != nil {
		t.Fatalf("Progress: %v", err)
	}
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func handsOut(t *testing.T, e env) {
	all := stored(t, e, 5)
	mustDecide(t, e, view("r"), share(all[:4]...)...)
	want := mustView(t, e, view("r"), inC, store.Query{})
	same(t, "progress before", mustProgress(t, e), store.Progress{})
	same(t, "titles", ids(mustHandOut(t, e, view("r"), store.Query{NoContent: true}).Records), objectIDs(0, 1, 2, 3))
	same(t, "progress after a page without content", mustProgress(t, e), store.Progress{})
	first := mustHandOut(t, e, view("r"), store.Query{Limit: 2})
	same(t, "first page", first.Records, want.Records[:2])
	same(t, "progress after it", mustProgress(t, e).HandedTo, want.Records[1].DateAdded.UnixMicro())
	same(t, "rest", mustHandOut(t, e, view("r"), store.Query{After: first.Next}).Records, want.Records[2:])
	mustHandOut(t, e, view("r"), store.Query{Limit: 1})
	same(t, "progress at the end", mustProgress(t, e.reopen(t, Options{})).HandedTo, want.Records[3].DateAdded.UnixMicro())
	other := view("r")
	other.Peer = "charlie"
	same(t, "another peer", mustHandOut(t, e, other, store.Query{}), store.Page{})
}

func withdrawsHeld(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("r"), share(all...)...)
	mustHandOut(t, e, view("r"), store.Query{})
	mustDecide(t, e, view("r"), hold("TooSecret", all[2], all[0])...)
	same(t, "withdrawn", withdrawn(t, e), objectIDs(2, 0))
	mustDecide(t, e, view("r"), hold("TooSecret", all[0])...)
	mustDecide(t, e, view("s"), share(all[:2]...)...)
	same(t, "withdrawn once", withdrawn(t, e.reopen(t, Options{})), objectIDs(2, 0))
	must(t, e.ClearWithdrawals(t.Context(), "f", "bravo", mustWithdrawals(t, e)[0].Position))
	same(t, "left", withdrawn(t, e), objectIDs(0))
	found, err := e.Withdrawals(t.Context(), "f", "charlie", 10)
	if err != nil || len(found) != 0 {
		t.Errorf("another peer's: %v, %v", found, err)
	}
	mustHandOut(t, e, view("s"), store.Query{})
	mustDecide(t, e, view("s"), hold("TooSecret", all[0])...)
	same(t, "a second time", withdrawn(t, e), objectIDs(0, 0))
}

func withdrawsDeleted(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("r"), share(all...)...)
	mustHandOut(t, e, view("r"), store.Query{Limit: 2})
	n, err := e.DeleteObjects(t.Context(), "c", store.Query{IDs: objectIDs(1, 2), Limit: 10})
	if err != nil || n != 2 {
		t.Fatalf("deleted %d, %v", n, err)
	}
	same(t, "withdrawn", withdrawn(t, e), objectIDs(1))
}

func withdrawsOnlyHanded(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("r"), share(all...)...)
	mustHandOut(t, e, view("r"), store.Query{Limit: 1})
	mustDecide(t, e, view("r"), hold("TooSecret", all[1:]...)...)
	same(t, "withdrawn", withdrawn(t, e), []string(nil))
}

func inForm(form string, records ...store.Record) []store.Decision {
	all := share(records...)
	for i := range all {
		all[i].Form = form
	}
	return all
}

func replacesForms(t *testing.T, e env) {
	all := stored(t, e, 2)
	mustDecide(t, e, view("r"), share(all...)...)
	mustHandOut(t, e, view("r"), store.Query{})
	mustDecide(t, e, view("s"), inForm("short", all...)...)
	same(t, "view meanwhile", mustView(t, e, view("s"), inC, store.Query{}), store.Page{})
	same(t, "withdrawn", withdrawn(t, e), objectIDs(0, 1))
	same(t, "counts", mustCount(t, e, view("s"), "c"), store.Counts{Held: map[string]int64{store.Replacing: 2}})
	again := mustLapsed(t, e, view("s"), epoch)
	same(t, "lapsed", again, all)
	mustDecide(t, e, view("s"), inForm("short", again...)...)
	shown := mustView(t, e, view("s"), inC, store.Query{}).Records
	same(t, "view", ids(shown), objectIDs(0, 1))
	if last := mustWithdrawals(t, e)[1].Position; len(shown) == 2 && (shown[0].Form != "short" || shown[0].DateAdded.UnixMicro() <= last) {
		t.Errorf("%+v does not follow the withdrawal at %d", shown[0], last)
	}
	same(t, "withdrawn once", withdrawn(t, e), objectIDs(0, 1))
	same(t, "lapsed no more", mustLapsed(t, e, view("s"), epoch), []store.Record(nil))
}

func changesForms(t *testing.T, e env) {
	all := stored(t, e, 1)
	mustDecide(t, e, view("r"), share(all...)...)
	before := mustView(t, e, view("r"), inC, store.Query{}).Records
	mustDecide(t, e, view("s"), inForm("short", all...)...)
	before[0].Form = "short"
	same(t, "view", mustView(t, e, view("s"), inC, store.Query{}).Records, before)
	same(t, "withdrawn", withdrawn(t, e), []string(nil))
	mustDecide(t, e, view("r"), share(all...)...)
	before[0].Form = ""
	same(t, "back", mustView(t, e, view("r"), inC, store.Query{}).Records, before)
}

func keepsEvidence(t *testing.T, e env) {
	all := stored(t, e, 2)
	d := share(all...)
	d[0].Evidence, d[0].Until, d[0].Form = "the registry says so", epoch.Add(time.Hour), "short"
	mustDecide(t, e, view("r"), d...)
	got := mustExplain(t, e, view("r"), all[0].ID, 1, "c")[0]
	if got.Evidence != d[0].Evidence || !got.Until.Equal(d[0].Until) || got.Form != "short" {
		t.Errorf("got %+v", got)
	}
	mustDecide(t, e, view("r"), share(all...)...)
	if got = mustExplain(t, e, view("r"), all[0].ID, 1, "c")[0]; got.Evidence != "" || !got.Until.IsZero() || got.Form != "" {
		t.Errorf("afterwards %+v", got)
	}
	d[0].Evidence = strings.Repeat("x", store.MaxEvidence+1)
	if err := e.Decide(t.Context(), view("r"), d); err == nil {
		t.Error("evidence without bounds was accepted")
	}
}

func findsExpired(t *testing.T, e env) {
	all := stored(t, e, 3)
	d := share(all...)
	d[0].Until, d[2].Until = epoch.Add(2*time.Hour), epoch.Add(time.Hour)
	mustDecide(t, e, view("r"), d...)
	same(t, "too early", mustLapsed(t, e, view("r"), epoch), []store.Record(nil))
	same(t, "the first", mustLapsed(t, e, view("r"), epoch.Add(time.Hour)), all[2:])
	same(t, "both", ids(mustLapsed(t, e, view("r"), epoch.Add(3*time.Hour))), objectIDs(0, 2))
	same(t, "under another rule", mustLapsed(t, e, view("s"), epoch.Add(3*time.Hour)), []store.Record(nil))
	mustDecide(t, e, view("r"), hold("TooOld", all[2])...)
	same(t, "after a decision", ids(mustLapsed(t, e, view("r"), epoch.Add(3*time.Hour))), objectIDs(0))
}

func lapses(t *testing.T, e env) {
	all := stored(t, e, 3)
	mustDecide(t, e, view("r"), append(share(all[:2]...), hold("TooSecret", all[2])...)...)
	before := mustView(t, e, view("r"), inC, store.Query{}).Records
	for range 2 {
		must(t, e.Lapse(t.Context(), "c", objectIDs(0, 2, 9)))
	}
	must(t, e.Lapse(t.Context(), "elsewhere", objectIDs(1)))
	same(t, "view", mustView(t, e, view("r"), inC, store.Query{}), store.Page{})
	same(t, "counts", mustCount(t, e, view("r"), "c"), store.Counts{Shared: 1, Held: map[string]int64{}, Undecided: 2})
	same(t, "lapsed", ids(mustLapsed(t, e, view("r"), epoch)), objectIDs(0, 2))
	same(t, "rule", mustExplain(t, e, view("r"), all[2].ID, 1, "c")[0].Rule, "")
	same(t, "undecided", mustUndecided(t, e, view("r"), 10, "c"), []store.Record(nil))
	mustDecide(t, e, view("r"), append(share(all[0]), hold("TooSecret", all[2])...)...)
	same(t, "view again", mustView(t, e, view("r"), inC, store.Query{}).Records, before)
	same(t, "counts again", mustCount(t, e, view("r"), "c"), store.Counts{Shared: 2, Held: map[string]int64{"TooSecret": 1}})
	same(t, "lapsed again", mustLapsed(t, e, view("r"), epoch), []store.Record(nil))
}

func lapsesReferred(t *testing.T, e env) {
	all := stored(t, e, 2)
	mustDecide(t, e, view("r"), share(all...)...)
	refs := []store.Reference{{Kind: "contains", From: object(7).ID, To: all[1].ID}, {Kind: "contains", From: object(7).ID, To: object(8).ID}}
	must(t, e.PutReferences(t.Context(), "c", refs))
	same(t, "lapsed", ids(mustLapsed(t, e, view("r"), epoch)), objectIDs(1))
	mustDecide(t, e, view("r"), share(all...)...)
	must(t, e.PutReferences(t.Context(), "c", refs))
	same(t, "lapsed by what is known", mustLapsed(t, e, view("r"), epoch), []store.Record(nil))
}

func findsReferences(t *testing.T, e env) {
	a, b, c := object(0).ID, object(1).ID, object(2).ID
	refs := []store.Reference{{Kind: "contains", From: a, To: b}, {Kind: "contains", From: c, To: b}, {Kind: "victim", From: a, To: b}, {Kind: "contains", From: a, To: c}}
	must(t, e.PutReferences(t.Context(), "c", refs))
	to := func(collection string, limit int, ids ...string) []store.Reference {
		found, err := e.ReferencesTo(t.Context(), collection, ids, limit)
		must(t, err)
		return found
	}
	same(t, "all", to("c", 10, c, b), refs)
	same(t, "two", to("c", 2, b), refs[:2])
	same(t, "none", to("c", 10, a), []store.Reference(nil))
	same(t, "another collection", to("d", 10, b), []store.Reference(nil))
}

func findsRevoked(t *testing.T, e env) {
	some := objects(0, 5)
	some[1].Revoked, some[3].Revoked = true, true
	mustPut(t, e, "c", some...)
	revoked := func(v store.View, after int64) []string {
		found, err := e.UndecidedRevoked(t.Context(), v, inC, after, 10)
		must(t, err)
		return ids(found)
	}
	all := mustList(t, e, "c", store.Query{}).Records
	same(t, "all", revoked(view("r"), 0), objectIDs(1, 3))
	same(t, "behind the first", revoked(view("r"), all[1].Seq), objectIDs(3))
	mustDecide(t, e, view("r"), share(all[1])...)
	same(t, "undecided", revoked(view("r"), 0), objectIDs(3))
	same(t, "under another rule", revoked(view("s"), 0), objectIDs(1, 3))
}

// handsOutUnderChange reads pages while a writer holds what is shared: each version
// that a page held must be withdrawn in the end.
func handsOutUnderChange(t *testing.T, e env) {
	all := stored(t, e, 200)
	mustDecide(t, e, view("r"), share(all...)...)
	handsOutWhile(t, e, func(r store.Record) error { return e.Decide(t.Context(), view("r"), hold("TooSecret", r)) })
}

// changesFormsUnderPages reads pages while a writer changes forms: each version that a
// page held in the form before must be withdrawn in the end.
func changesFormsUnderPages(t *testing.T, e env) {
	all := stored(t, e, 200)
	mustDecide(t, e, view("r"), share(all...)...)
	handsOutWhile(t, e, func(r store.Record) error { return e.Decide(t.Context(), view("r"), inForm("without-names", r)) })
}

// handsOutWhile reads pages while all is changed, both from the first to the last. What
// left as it is stored must be withdrawn in the end.
func handsOutWhile(t *testing.T, e env, change func(store.Record) error) {
	t.Helper()
	all := mustView(t, e, view("r"), inC, store.Query{}).Records
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < len(all) && err == nil; i++ {
			err = change(all[i])
		}
		done <- err
	}()
	left := map[string]bool{}
	for limit := 1; ; limit++ {
		for _, r := range mustHandOut(t, e, view("r"), store.Query{Limit: min(limit, store.MaxRecords)}).Records {
			if r.Form == "" {
				left[r.ID] = true
			}
		}
		select {
		case err := <-done:
			must(t, err)
			for _, id := range withdrawn(t, e) {
				delete(left, id)
			}
			if len(left) > 0 {
				t.Errorf("%d versions left and were not withdrawn: %v", len(left), left)
			}
			return
		default:
		}
	}
}
