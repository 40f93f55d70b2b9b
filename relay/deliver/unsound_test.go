// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

func answerStatus(w http.ResponseWriter, s taxii.Status) {
	w.Header().Set("Content-Type", taxii.MediaType)
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(s)
}

// miscounting is a server that takes everything and forgets one object in its counts, for some batches.
type miscounting struct {
	mu    sync.Mutex // guards what follows
	wrong func(ids []string) bool
	posts [][]string
}

func (m *miscounting) serve(t *testing.T, db store.Store) config.Remote {
	t.Helper()
	return serveTAXII(t, db, func(w http.ResponseWriter, r *http.Request, inner http.Handler) {
		if r.Method != http.MethodPost {
			inner.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		ids := idsOf(t, body)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.posts = append(m.posts, ids)
		s := taxii.Status{ID: collectionID, Status: taxii.Complete, TotalCount: len(ids), SuccessCount: len(ids)}
		if m.wrong(ids) {
			s.SuccessCount--
		}
		answerStatus(w, s)
	})
}

// from is from when on the counts are wrong for other batches; it returns the posts so far.
func (m *miscounting) from(wrong func(ids []string) bool) [][]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong = wrong
	return slices.Clone(m.posts)
}

func always([]string) bool { return true }
func never([]string) bool  { return false }

func TestAServerWhoseCountsNeverAddUpHoldsUpNothingAndNothingIsLost(t *testing.T) {
	w, m := newWorld(t), &miscounting{wrong: always}
	w.put(0, 5)
	w.start(toTAXII(m.serve(t, w.store)))
	w.until("opencti", "all are dead letters", func(d store.Delivery) bool { return d.Dead == 5 && d.Delivered == 0 })
	if n, most := len(m.from(always)), maxUnsound*(2*5-1); n > most {
		t.Errorf("%d posts of 5 objects, want %d at most", n, most)
	}
	w.put(5, 8)
	w.until("opencti", "so are those behind them", func(d store.Delivery) bool { return d.Dead == 8 && d.Delivered == 0 })
	letters, err := w.Dead(t.Context(), "bravo", "opencti", 0, 10)
	if err != nil || len(letters) != 8 {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	for _, l := range letters {
		if !strings.Contains(l.Reason, "does not add up") || !strings.Contains(l.Reason, "may be stored there all the same") {
			t.Errorf("the reason of %s is %q", l.ID, l.Reason)
		}
	}
	before := len(m.from(never))
	w.put(8, 10)
	w.untilDelivered("opencti", 2)
	if n, err := w.Redeliver(t.Context(), "bravo", "opencti"); err != nil || n != 8 {
		t.Fatalf("Redeliver: %d, %v", n, err)
	}
	w.until("opencti", "all are delivered", func(d store.Delivery) bool { return d.Delivered == 10 && d.Dead == 0 && d.Queued == 0 })
	got := slices.Concat(m.from(never)[before:]...)
	slices.Sort(got)
	if diff := cmp.Diff(idRange(0, 10), got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyTheObjectForWhichTheCountsDoNotAddUpIsADeadLetter(t *testing.T) {
	w, m := newWorld(t), &miscounting{wrong: func(ids []string) bool { return slices.Contains(ids, objectID(5)) }}
	w.put(0, 16)
	w.start(toTAXII(m.serve(t, w.store)))
	w.until("opencti", "one is dead", func(d store.Delivery) bool { return d.Delivered == 15 && d.Dead == 1 })
	letters, err := w.Dead(t.Context(), "bravo", "opencti", 0, 10)
	if err != nil || len(letters) != 1 || letters[0].ID != objectID(5) {
		t.Errorf("letters %+v, %v", letters, err)
	}
	before := len(m.from(never))
	w.put(16, 32)
	w.untilDelivered("opencti", 31)
	if diff := cmp.Diff([][]string{idRange(16, 32)}, m.from(never)[before:]); diff != "" {
		t.Errorf("what follows is not sent at once as before: %s", diff)
	}
}
