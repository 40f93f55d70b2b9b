// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// TestWhatIsDecidedWhileVeryManyDependentsLapseLapsesWithTheDeletion: it was decided by looking at what is deleted.
func TestWhatIsDecidedWhileVeryManyDependentsLapseLapsesWithTheDeletion(t *testing.T) {
	const many = lapseAtOnce + 50
	v, in := store.View{Feed: "f", Peer: "bravo", Rule: "r"}, []string{"c"}
	for name, meanwhile := range map[string]func(t *testing.T, s *Store, w *watch, again []store.Decision){
		"seen": func(t *testing.T, s *Store, _ *watch, again []store.Decision) {
			if err := s.Decide(t.Context(), v, again); err != nil {
				t.Fatal(err)
			}
		},
		"seen_by_nobody_as_there_was_too_much": func(t *testing.T, s *Store, w *watch, again []store.Decision) {
			if err := s.Decide(t.Context(), v, again); err != nil {
				t.Fatal(err)
			}
			w.seqs, w.tooMany = map[int64]bool{}, true
		},
		"decided_by_a_second_process": func(t *testing.T, s *Store, _ *watch, again []store.Decision) {
			other := open(t, s.path)
			if err := other.Decide(t.Context(), v, again); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "relay.db"))
			batch := make([]store.Object, many+1)
			for i := range batch {
				batch[i] = store.Object{ID: fmt.Sprint("x--", i), Type: "x", Raw: []byte("x")}
			}
			if _, err := s.PutObjects(t.Context(), "c", batch, ""); err != nil {
				t.Fatal(err)
			}
			found, err := s.Undecided(t.Context(), v, in, len(batch))
			if err != nil {
				t.Fatal(err)
			}
			decisions := make([]store.Decision, len(found))
			for i, r := range found {
				decisions[i] = store.Decision{Seq: r.Seq, Share: true, Reason: "ok"}
			}
			if err := s.Decide(t.Context(), v, decisions); err != nil {
				t.Fatal(err)
			}
			dependents := []store.Dependents{{Collection: "c"}}
			for _, o := range batch[1 : many-10] {
				dependents[0].IDs = append(dependents[0].IDs, o.ID)
			}
			w, err := s.lapseBefore(t.Context(), "c", store.Query{IDs: []string{"x--0"}, NoContent: true}, dependents)
			if err != nil || w == nil {
				t.Fatal(w, err)
			}
			defer s.watches.end(w)
			// Three dependents are decided again, and two that are none.
			meanwhile(t, s, w, append(append([]store.Decision(nil), decisions[1:4]...), decisions[many-5:many-3]...))
			if err := s.change(t.Context(), feed, "deleting", func(tx *transaction) error { return w.lapseSince(t.Context(), tx, dependents) }); err != nil {
				t.Fatal(err)
			}
			left, err := s.Lapsed(t.Context(), v, in, s.now(), len(batch))
			if err != nil || len(left) != len(dependents[0].IDs) {
				t.Errorf("%d have lapsed, %v; want %d", len(left), err, len(dependents[0].IDs))
			}
		})
	}
}

func TestADeletionThatFailsOrEndsWatchesNoMore(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	if _, err := s.PutObjects(t.Context(), "c", []store.Object{{ID: "x--0", Type: "x", Raw: []byte("x")}}, ""); err != nil {
		t.Fatal(err)
	}
	dependents := store.Dependents{Collection: "c", IDs: make([]string, lapseAtOnce+1)}
	if n, err := s.DeleteObjects(t.Context(), "c", store.Query{IDs: []string{"x--0"}, Limit: 1}, dependents); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if n := len(s.watches.of); n != 0 {
		t.Errorf("%d watches are left", n)
	}
}
