// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var sealingTests = map[string]func(t *testing.T, e env){
	"keeps_keys_across_a_reopen":                          keepsSealKeys,
	"adds_one_key_when_many_find_the_last_too_old":        oneSealKey,
	"never_drops_the_newest_key":                          newestSealKey,
	"replaces_the_key_of_a_peer":                          replacesPeerKey,
	"takes_a_request_through_others_once":                 transitOnce,
	"forgets_requests_after_their_time":                   transitForgets,
	"keeps_answers_for_a_courier_until_the_peer_has_them": courierAnswers,
	"keeps_the_newest_answers_when_there_are_too_many":    courierBound,
	"refuses_what_sealing_keeps_out_of_bounds":            sealingBounds,
}

func sealKey(n int) store.SealKey {
	return store.SealKey{ID: fmt.Sprintf("key%d", n), Private: []byte{byte(n), 0, 255}, CreatedAt: epoch.Add(time.Duration(n) * time.Hour)}
}

func mustAddKey(t *testing.T, s store.Store, k store.SealKey) {
	t.Helper()
	if added, err := s.AddSealKey(t.Context(), k, k.CreatedAt); err != nil || !added {
		t.Fatalf("AddSealKey: %v, %v", added, err)
	}
}

func mustSealKeys(t *testing.T, s store.Store) []store.SealKey {
	t.Helper()
	keys, err := s.SealKeys(t.Context())
	if err != nil {
		t.Fatalf("SealKeys: %v", err)
	}
	return keys
}

func keepsSealKeys(t *testing.T, e env) {
	mustAddKey(t, e, sealKey(1))
	mustAddKey(t, e, sealKey(2))
	peer := store.PeerSealKey{Peer: "bravo.example", Public: []byte("p"), Statement: []byte("s"), LearnedAt: epoch}
	if err := e.PutPeerSealKey(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	same(t, "keys", mustSealKeys(t, s), []store.SealKey{sealKey(2), sealKey(1)})
	peers, err := s.PeerSealKeys(t.Context())
	wantErr(t, err, nil)
	same(t, "keys of peers", peers, []store.PeerSealKey{peer})
}

func oneSealKey(t *testing.T, e env) {
	mustAddKey(t, e, sealKey(1))
	var added atomic.Int32
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			ok, err := e.AddSealKey(t.Context(), sealKey(10+n), epoch.Add(5*time.Hour))
			if err != nil {
				t.Error(err)
			}
			if ok {
				added.Add(1)
			}
		})
	}
	group.Wait()
	if n := added.Load(); n != 1 || len(mustSealKeys(t, e)) != 2 {
		t.Errorf("%d keys were added", n)
	}
}

func newestSealKey(t *testing.T, e env) {
	for n := range 4 {
		mustAddKey(t, e, sealKey(n))
	}
	dropped, err := e.DropSealKeys(t.Context(), epoch.Add(2*time.Hour))
	if err != nil || dropped != 2 {
		t.Errorf("dropped %d, %v", dropped, err)
	}
	if dropped, err = e.DropSealKeys(t.Context(), epoch.Add(99*time.Hour)); err != nil || dropped != 1 {
		t.Errorf("dropped %d, %v", dropped, err)
	}
	same(t, "keys", mustSealKeys(t, e), []store.SealKey{sealKey(3)})
}

func replacesPeerKey(t *testing.T, e env) {
	for _, public := range []string{"one", "two"} {
		if err := e.PutPeerSealKey(t.Context(), store.PeerSealKey{Peer: "bravo.example", Public: []byte(public), Statement: []byte("s"), LearnedAt: epoch}); err != nil {
			t.Fatal(err)
		}
	}
	peers, err := e.PeerSealKeys(t.Context())
	if err != nil || len(peers) != 1 || string(peers[0].Public) != "two" {
		t.Errorf("keys of peers are %v, %v", peers, err)
	}
}

func note(t *testing.T, s store.Store, peer, id string, now time.Time) bool {
	t.Helper()
	fresh, err := s.NoteTransit(t.Context(), peer, id, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

func transitOnce(t *testing.T, e env) {
	if !note(t, e, "bravo.example", "one", epoch) || !note(t, e, "charlie.example", "one", epoch) || !note(t, e, "bravo.example", "two", epoch) {
		t.Error("a new id is not fresh")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	if note(t, s, "bravo.example", "one", epoch.Add(time.Hour)) {
		t.Error("an id is fresh again after a restart")
	}
}

func transitForgets(t *testing.T, e env) {
	note(t, e, "bravo.example", "one", epoch)
	if note(t, e, "bravo.example", "one", epoch.Add(2*time.Hour)) {
		t.Error("an id is forgotten as soon as its time is over")
	}
	note(t, e, "charlie.example", "one", epoch.Add(26*time.Hour)) // a clock that jumps ahead by a day
	if note(t, e, "bravo.example", "one", epoch.Add(2*time.Hour)) {
		t.Error("an id is fresh again after a clock jumped by a day and back")
	}
	if !note(t, e, "bravo.example", "one", epoch.Add(2*time.Hour+store.TransitKept)) {
		t.Error("an id is kept for ever")
	}
}

func answer(n int) store.CourierAnswer {
	return store.CourierAnswer{Peer: "bravo.example", Batch: fmt.Sprint("b", n), Answer: []byte{byte(n)}, At: epoch}
}

func mustAnswers(t *testing.T, s store.Store, peer string) []store.CourierAnswer {
	t.Helper()
	all, err := s.CourierAnswers(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func courierAnswers(t *testing.T, e env) {
	for _, n := range []int{1, 2, 3, 1} {
		wantErr(t, e.PutCourierAnswer(t.Context(), answer(n)), nil)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	same(t, "answers", mustAnswers(t, s, "bravo.example"), []store.CourierAnswer{answer(2), answer(3), answer(1)})
	wantErr(t, s.DropCourierAnswers(t.Context(), "charlie.example", []string{"b2"}), nil)
	wantErr(t, s.DropCourierAnswers(t.Context(), "bravo.example", []string{"b3", "b1", "unknown"}), nil)
	same(t, "answers", mustAnswers(t, s, "bravo.example"), []store.CourierAnswer{answer(2)})
	same(t, "answers for another", len(mustAnswers(t, s, "charlie.example")), 0)
}

func courierBound(t *testing.T, e env) {
	for n := range store.MaxCourierAnswers + 2 {
		wantErr(t, e.PutCourierAnswer(t.Context(), answer(n)), nil)
	}
	all := mustAnswers(t, e, "bravo.example")
	if len(all) != store.MaxCourierAnswers || all[0].Batch != "b2" {
		t.Errorf("%d answers are kept, the oldest is %q", len(all), all[0].Batch)
	}
}

func sealingBounds(t *testing.T, e env) {
	long := strings.Repeat("x", 65)
	for name, err := range map[string]error{
		"a_key_without_a_time":                second(e.AddSealKey(t.Context(), store.SealKey{ID: "x", Private: []byte("x")}, epoch)),
		"a_key_of_a_peer_without_a_statement": e.PutPeerSealKey(t.Context(), store.PeerSealKey{Peer: "x", Public: []byte("x")}),
		"a_long_id":                           second(e.NoteTransit(t.Context(), "x", long, epoch, epoch)),
		"an_empty_answer":                     e.PutCourierAnswer(t.Context(), store.CourierAnswer{Peer: "x", Batch: "x"}),
	} {
		if err == nil {
			t.Errorf("%s is stored", name)
		}
	}
}

func second(_ bool, err error) error { return err }
