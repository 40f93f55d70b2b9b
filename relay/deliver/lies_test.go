// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// liar is a TAXII server without a network, so that its hours pass in a bubble at once. It lies about what it did.
type liar struct {
	t *testing.T
	// posted answers the ids of a POST, told a GET of a status.
	posted, told func(ids []string) (int, any)
	posts        [][]string
	asked        int
	last         []string
}

// RoundTrip implements http.RoundTripper.
func (l *liar) RoundTrip(r *http.Request) (*http.Response, error) {
	code, answer := http.StatusOK, any(taxii.APIRoot{Title: "x", Versions: []string{taxii.MediaType}, MaxContentLength: 10 << 20})
	switch {
	case r.Method == http.MethodPost:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		l.last = idsOf(l.t, body)
		l.posts = append(l.posts, l.last)
		code, answer = l.posted(l.last)
	case strings.Contains(r.URL.Path, "/status/"):
		l.asked++
		code, answer = l.told(l.last)
	case strings.HasSuffix(r.URL.Path, "/collections/"):
		answer = taxii.Collections{Collections: []taxii.Collection{{ID: collectionID, Alias: "from-bravo", Title: "x", CanRead: true, CanWrite: true}}}
	}
	body, err := json.Marshal(answer)
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {taxii.MediaType}}, Request: r,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}, err
}

// told is a delivery to a liar, without a store.
func told(t *testing.T, l *liar) *worker {
	t.Helper()
	l.t = t
	client, err := taxii.NewClient(taxii.ClientConfig{HTTP: &http.Client{Transport: l}, Server: "https://opencti.alfa.example/api/"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Store: noStore{}, Collection: func(string) string { return "import/bravo" }})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(e, "bravo", toTAXII(config.Remote{URL: "https://opencti.alfa.example/api/"}))
	w.to = &collection{client: client, name: "from-bravo"}
	return w
}

// noStore is the store of a delivery that is handed its batches.
type noStore struct{ Store }

func batchOf(from, to int) batch {
	var b batch
	for n := from; n < to; n++ {
		raw := fmt.Sprintf(`{"type":"indicator","id":%q}`, objectID(n))
		b = append(b, store.Record{Object: store.Object{ID: objectID(n), Type: "indicator", SpecVersion: stix.Spec21, Version: time.Unix(1, 0), Raw: []byte(raw)}, Seq: int64(n + 1)})
	}
	return b
}

// counting answers with what it says of so many objects.
func counting(count func(n int) taxii.Status) func([]string) (int, any) {
	return func(ids []string) (int, any) {
		s := count(len(ids))
		if s.ID == "" {
			s.ID = collectionID
		}
		return http.StatusAccepted, s
	}
}

func refusing(code int) func([]string) (int, any) {
	return func([]string) (int, any) { return code, taxii.ProtocolError{Title: "No"} }
}

func pendingOf(n int) taxii.Status {
	return taxii.Status{Status: taxii.Pending, TotalCount: n, PendingCount: n}
}

func takenOf(n int) taxii.Status {
	return taxii.Status{Status: taxii.Complete, TotalCount: n, SuccessCount: n}
}

// TestAServerThatLiesCostsFewPostsAndLittleTime: a batch of 256 objects, and three more, in each way in which a
// server may lie.
func TestAServerThatLiesCostsFewPostsAndLittleTime(t *testing.T) {
	none := refusing(http.StatusNotFound)
	for name, tt := range map[string]struct {
		posted, told func([]string) (int, any)
		reason       string
		posts        int
		within       time.Duration
	}{
		"its_counts_never_add_up": {counting(func(n int) taxii.Status {
			return taxii.Status{Status: taxii.Complete, TotalCount: n, SuccessCount: n - 1}
		}), none, "does not add up", maxVain, time.Minute},
		"it_names_more_than_it_counts": {func(ids []string) (int, any) {
			s := taxii.Status{ID: collectionID, Status: taxii.Complete, TotalCount: len(ids), SuccessCount: len(ids)}
			for _, id := range ids {
				s.Failures = append(s.Failures, taxii.StatusDetail{ID: id})
			}
			return http.StatusAccepted, s
		}, none, "refused, and names", maxVain, time.Minute},
		"it_is_done_and_something_is_pending": {counting(func(n int) taxii.Status {
			return taxii.Status{Status: taxii.Complete, TotalCount: n, SuccessCount: n - 1, PendingCount: 1}
		}), none, "1 pending when all is done", maxVain, time.Minute},
		"it_is_pending_for_ever":        {counting(pendingOf), counting(pendingOf), "stays pending", maxVain, 40 * time.Minute},
		"its_status_cannot_be_read":     {counting(pendingOf), refusing(http.StatusInternalServerError), "stays pending", maxVain, 40 * time.Minute},
		"its_status_is_of_another_word": {counting(pendingOf), counting(func(int) taxii.Status { return taxii.Status{Status: "done"} }), "stays pending", maxVain, 40 * time.Minute},
		"it_forgets_each_status":        {counting(pendingOf), none, "forgets the status", maxVain, 2 * time.Minute},
		"it_gives_its_status_no_id":     {func(ids []string) (int, any) { return http.StatusAccepted, pendingOf(len(ids)) }, none, "no id", maxVain, 2 * time.Minute},
		"it_refuses_one_and_not_which": {counting(func(n int) taxii.Status {
			return taxii.Status{Status: taxii.Complete, TotalCount: n, SuccessCount: n - 1, FailureCount: 1}
		}), none, "", 256 + maxVain, 30 * time.Minute},
		"it_calls_each_request_malformed": {refusing(http.StatusBadRequest), none, "400", maxVain, time.Minute},
		"it_calls_each_one_too_large":     {refusing(http.StatusRequestEntityTooLarge), none, "413", maxVain, time.Minute},
		"it_cannot_process_any":           {refusing(http.StatusUnprocessableEntity), none, "422", maxVain, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				l := &liar{posted: tt.posted, told: tt.told}
				w := told(t, l)
				begun := time.Now()
				dead, ok, vain := w.handOver(t.Context(), batchOf(0, 256))
				if !ok || len(l.posts) > tt.posts || time.Since(begun) > tt.within {
					t.Errorf("%d posts in %v, want %d in %v at most", len(l.posts), time.Since(begun), tt.posts, tt.within)
				}
				t.Logf("%d posts, %d looks at a status, %v, %d dead: %s", len(l.posts), l.asked, time.Since(begun), len(dead), dead[len(dead)-1].Reason)
				if len(dead) != 256 || !slices.ContainsFunc(dead, func(d store.DeadLetter) bool { return strings.Contains(d.Reason, tt.reason) }) {
					t.Errorf("%d dead letters, of the first %q", len(dead), dead[0].Reason)
				}
				if tt.reason == "" {
					return // it says of each what became of it
				}
				before := len(l.posts)
				for n := range 3 {
					if _, ok, vain = w.handOver(t.Context(), batchOf(0, 256)); !ok || vain == nil {
						t.Fatalf("batch %d: %v, %v", n, vain, ok)
					}
				}
				if got := len(l.posts) - before; got != 3 {
					t.Errorf("%d posts of three more batches, want one each", got)
				}
				if text := explain(vain); !strings.Contains(text, "pauses of up to 5 minutes") {
					t.Errorf("the status says %q", text)
				}
				l.posted = counting(takenOf)
				if dead, ok, vain = w.handOver(t.Context(), batchOf(0, 256)); len(dead) > 0 || vain != nil || !ok {
					t.Errorf("mended, %d are dead, %v", len(dead), vain)
				}
			})
		})
	}
}

// TestThePausesOfAServerThatTakesNothingGrow: a delivery posts a batch, and then ever more slowly.
func TestThePausesOfAServerThatTakesNothingGrow(t *testing.T) {
	w, m := newWorld(t), &miscounting{wrong: always}
	var mu sync.Mutex
	var pauses []int
	var told []string
	w.cfg.Pause = func(failures int) time.Duration {
		list, err := w.ReportDeliveries(context.Background())
		mu.Lock()
		defer mu.Unlock()
		pauses = append(pauses, failures)
		if err == nil && len(list) == 1 {
			told = append(told, list[0].Error)
		}
		return time.Millisecond
	}
	w.put(0, 256*6)
	w.start(toTAXII(m.serve(t, w.store)))
	w.until("opencti", "all are dead letters", func(d store.Delivery) bool { return d.Dead == 256*6 })
	w.crash()
	mu.Lock()
	defer mu.Unlock()
	// Two between the first three posts, and one behind each batch.
	if want := []int{1, 2, 1, 2, 3, 4, 5}; len(pauses) < len(want) || !slices.Equal(pauses[:len(want)], want) {
		t.Fatalf("pauses %v, want %v", pauses, want)
	}
	if !strings.HasSuffix(told[0], "mend it") || !strings.Contains(told[3], "it gets each batch once") || len(slices.Compact(told[2:])) != 1 {
		t.Errorf("the report says %q", told)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := len(m.posts); got != maxVain+5 {
		t.Errorf("%d posts of six batches, want %d", got, maxVain+5)
	}
}

// TestOneObjectThatAServerRefusesDoesNotKeepBatchesSmall: a server that calls one object malformed gets whole batches again.
func TestOneObjectThatAServerRefusesDoesNotKeepBatchesSmall(t *testing.T) {
	l := &liar{posted: func(ids []string) (int, any) {
		if slices.Contains(ids, objectID(5)) {
			return refusing(http.StatusBadRequest)(ids)
		}
		return counting(takenOf)(ids)
	}}
	w := told(t, l)
	if dead, ok, vain := w.handOver(t.Context(), batchOf(0, 256)); len(dead) != 1 || vain != nil || !ok || w.most != 1 {
		t.Fatalf("%d dead letters, %v; then %d at once", len(dead), vain, w.most)
	}
	for n := 0; w.most < batchObjects; n++ {
		if _, ok, _ := w.handOver(t.Context(), batchOf(10, 10+w.most)); !ok || n > 300 {
			t.Fatalf("after %d batches it is %d at once", n, w.most)
		}
	}
}

// TestAServerThatIsMendedIsBelievedAgainThoughItRefusesOneObjectInEachBatch: of a batch that is posted once all would be
// dead letters, for ever.
func TestAServerThatIsMendedIsBelievedAgainThoughItRefusesOneObjectInEachBatch(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		l := &liar{posted: refusing(http.StatusBadRequest)}
		w := told(t, l)
		for w.to.(*collection).vain < maxVainBatches {
			w.handOver(t.Context(), batchOf(0, 256))
		}
		l.posted = func(ids []string) (int, any) {
			if slices.Contains(ids, objectID(5)) {
				return refusing(http.StatusBadRequest)(ids)
			}
			return counting(takenOf)(ids)
		}
		for n := 1; ; n++ {
			dead, ok, vain := w.handOver(t.Context(), batchOf(0, 256))
			if !ok || n > searchAgain {
				t.Fatalf("after %d batches %d objects of the last one are dead letters: %v", n, len(dead), vain)
			}
			if vain == nil && len(dead) == 1 && dead[0].ID == objectID(5) {
				break
			}
		}
		if dead, _, vain := w.handOver(t.Context(), batchOf(0, 256)); len(dead) != 1 || vain != nil {
			t.Errorf("of the next batch %d objects are dead letters: %v", len(dead), vain)
		}
	})
}

// TestDeadLettersThatAreRefusedAgainHoldUpNothingNew: somebody has many tried again of which the server takes none.
func TestDeadLettersThatAreRefusedAgainHoldUpNothingNew(t *testing.T) {
	w, m := newWorld(t), &miscounting{wrong: always}
	const old = 4 * 256
	w.put(0, old)
	w.start(toTAXII(m.serve(t, w.store)))
	w.until("opencti", "all are dead letters", func(d store.Delivery) bool { return d.Dead == old })
	w.crash()
	w.open()
	refusesOld := func(ids []string) bool {
		return slices.ContainsFunc(ids, func(id string) bool { return id < objectID(old) })
	}
	if n, err := w.store.QueueDeadLetters(t.Context(), "import/bravo", "opencti"); n != old || err != nil {
		t.Fatal(n, err)
	}
	w.put(old, old+10)
	before := len(m.from(refusesOld))
	w.start(toTAXII(m.serve(t, w.store)))
	w.until("opencti", "each was tried again", func(d store.Delivery) bool { return d.Dead == old && d.Queued == 0 && d.Delivered == 10 })
	oldAgain := 0
	for _, ids := range m.from(refusesOld)[before:] {
		if slices.Contains(ids, objectID(old)) {
			break
		}
		oldAgain++
	}
	if oldAgain > maxVain {
		t.Errorf("what is new was posted after %d posts of what is old", oldAgain)
	}
}
