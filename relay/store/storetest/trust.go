// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var trustTests = map[string]func(t *testing.T, e env){
	"keeps_records_and_bundles_across_a_reopen":  keepsTrust,
	"gives_the_last_record_to_compose":           composesTrust,
	"stores_nothing_when_composing_fails":        failedTrust,
	"stores_nothing_when_one_record_is_too_long": longTrust,
	"replaces_and_forgets_what_was_learned":      replacesLearned,
	"lists_trust_in_pages_by_subject":            listsTrust,
	"counts_without_gaps_when_many_append":       manyTrust,
	"refuses_limits_of_trust_out_of_bounds":      trustLimits,
}

func trustRecord(subject, content string) store.TrustRecord {
	return store.TrustRecord{Subject: subject, Content: []byte(content)}
}

func bundleOf(trustDomain string, serial int64) *store.LearnedBundle {
	return &store.LearnedBundle{TrustDomain: trustDomain, Base: "b0", Bundle: fmt.Sprint("PEM ", serial), Serial: serial, LearnedAt: epoch}
}

func mustAppend(t *testing.T, s store.Store, change store.TrustChange) {
	t.Helper()
	if err := s.AppendTrust(t.Context(), func(store.TrustRecord) (store.TrustChange, error) { return change, nil }); err != nil {
		t.Fatalf("AppendTrust: %v", err)
	}
}

func mustTrust(t *testing.T, s store.Store, q store.TrustQuery) store.TrustPage {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = store.MaxTrustRecords
	}
	page, err := s.ListTrust(t.Context(), q)
	if err != nil {
		t.Fatalf("ListTrust: %v", err)
	}
	return page
}

func mustLearned(t *testing.T, s store.Store) []store.LearnedBundle {
	t.Helper()
	learned, err := s.LearnedBundles(t.Context())
	if err != nil {
		t.Fatalf("LearnedBundles: %v", err)
	}
	return learned
}

func keepsTrust(t *testing.T, e env) {
	mustAppend(t, e, store.TrustChange{
		Records: []store.TrustRecord{trustRecord("bravo.example", "one"), trustRecord("alfa.example", "two\x00")},
		Learn:   bundleOf("bravo.example", 7),
	})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	same(t, "records", mustTrust(t, s, store.TrustQuery{}), store.TrustPage{Records: []store.TrustRecord{
		{Seq: 1, Subject: "bravo.example", Content: []byte("one")}, {Seq: 2, Subject: "alfa.example", Content: []byte("two\x00")},
	}})
	same(t, "learned", mustLearned(t, s), []store.LearnedBundle{*bundleOf("bravo.example", 7)})
}

func composesTrust(t *testing.T, e env) {
	var seen []store.TrustRecord
	for i := range 3 {
		if err := e.AppendTrust(t.Context(), func(last store.TrustRecord) (store.TrustChange, error) {
			seen = append(seen, last)
			return store.TrustChange{Records: []store.TrustRecord{trustRecord("x", fmt.Sprint(i))}}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "last records", seen, []store.TrustRecord{{}, {Seq: 1, Subject: "x", Content: []byte("0")}, {Seq: 2, Subject: "x", Content: []byte("1")}})
}

func failedTrust(t *testing.T, e env) {
	want := errors.New("no")
	err := e.AppendTrust(t.Context(), func(store.TrustRecord) (store.TrustChange, error) {
		return store.TrustChange{Records: []store.TrustRecord{trustRecord("x", "x")}, Learn: bundleOf("x", 1)}, want
	})
	wantErr(t, err, want)
	same(t, "records", len(mustTrust(t, e, store.TrustQuery{}).Records), 0)
	same(t, "learned", len(mustLearned(t, e)), 0)
}

func longTrust(t *testing.T, e env) {
	for _, content := range [][]byte{nil, make([]byte, store.MaxTrustRecordBytes+1)} {
		err := e.AppendTrust(t.Context(), func(store.TrustRecord) (store.TrustChange, error) {
			return store.TrustChange{Records: []store.TrustRecord{trustRecord("x", "x"), {Subject: "x", Content: content}}, Learn: bundleOf("x", 1)}, nil
		})
		if err == nil {
			t.Errorf("%d bytes are stored", len(content))
		}
	}
	same(t, "records", len(mustTrust(t, e, store.TrustQuery{}).Records), 0)
	same(t, "learned", len(mustLearned(t, e)), 0)
}

func replacesLearned(t *testing.T, e env) {
	mustAppend(t, e, store.TrustChange{Learn: bundleOf("charlie.example", 1)})
	mustAppend(t, e, store.TrustChange{Learn: bundleOf("bravo.example", 1)})
	mustAppend(t, e, store.TrustChange{Learn: bundleOf("bravo.example", 2)})
	same(t, "learned", mustLearned(t, e), []store.LearnedBundle{*bundleOf("bravo.example", 2), *bundleOf("charlie.example", 1)})
	mustAppend(t, e, store.TrustChange{Forget: []string{"bravo.example", "nobody.example"}})
	same(t, "after one was forgotten", mustLearned(t, e), []store.LearnedBundle{*bundleOf("charlie.example", 1)})
	mustAppend(t, e, store.TrustChange{Forget: []string{"charlie.example"}, Learn: bundleOf("charlie.example", 3)})
	same(t, "forgotten, then learned", mustLearned(t, e), []store.LearnedBundle{*bundleOf("charlie.example", 3)})
}

func listsTrust(t *testing.T, e env) {
	for i := range 10 {
		mustAppend(t, e, store.TrustChange{Records: []store.TrustRecord{trustRecord([]string{"bravo", "charlie"}[i%2], fmt.Sprint(i))}})
	}
	for subject, want := range map[string][]int64{"": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, "bravo": {1, 3, 5, 7, 9}, "charlie": {2, 4, 6, 8, 10}, "delta": nil} {
		var got []int64
		q := store.TrustQuery{Subject: subject, Limit: 5}
		for {
			page := mustTrust(t, e, q)
			for _, r := range page.Records {
				got = append(got, r.Seq)
			}
			if page.Next == 0 {
				break
			}
			same(t, "size of a page that is not the last", len(page.Records), 5)
			q.After = page.Next
		}
		same(t, "records of "+subject, got, want)
	}
}

func manyTrust(t *testing.T, e env) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := e.AppendTrust(t.Context(), func(last store.TrustRecord) (store.TrustChange, error) {
					return store.TrustChange{Records: []store.TrustRecord{trustRecord("x", fmt.Sprint(last.Seq))}}, nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, r := range mustTrust(t, e, store.TrustQuery{}).Records {
		if r.Seq != int64(i+1) || string(r.Content) != fmt.Sprint(i) {
			t.Fatalf("record %d is %d after %s", i, r.Seq, r.Content)
		}
	}
}

func trustLimits(t *testing.T, e env) {
	for _, limit := range []int{0, -1, store.MaxTrustRecords + 1} {
		if _, err := e.ListTrust(t.Context(), store.TrustQuery{Limit: limit}); err == nil {
			t.Errorf("limit %d is accepted", limit)
		}
	}
	late := bundleOf("bravo.example", 1)
	late.LearnedAt = epoch.Add(time.Nanosecond)
	mustAppend(t, e, store.TrustChange{Learn: late})
	same(t, "whole microseconds", mustLearned(t, e)[0].LearnedAt, epoch)
}
