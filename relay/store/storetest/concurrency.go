// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

var concurrencyTests = map[string]func(t *testing.T, e env){
	"gives_serials_without_gaps_to_concurrent_senders":     concurrentSerials,
	"accepts_a_message_once_from_concurrent_deliveries":    concurrentAccept,
	"acknowledges_once_from_concurrent_officers":           concurrentAck,
	"shows_a_reader_no_position_before_one_it_has_seen":    concurrentReader,
	"adds_an_object_once_from_concurrent_puts":             concurrentPut,
	"keeps_positions_unique_between_collections_and_views": concurrentViews,
}

// together runs n copies of f at once and waits for them.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func concurrentSerials(t *testing.T, e env) {
	const senders, each = 8, 10
	refused := errors.New("refused")
	together(senders, func(i int) {
		for j := range each {
			_, err := e.Enqueue(t.Context(), "bravo.example", func(int64) (store.Message, error) {
				if j%5 == 4 {
					return store.Message{}, refused
				}
				return message(fmt.Sprintf("%d-%d", i, j)), nil
			})
			if err != nil && !errors.Is(err, refused) {
				t.Errorf("Enqueue: %v", err)
			}
		}
	})
	pending, err := e.Pending(t.Context(), "bravo.example", 1000)
	if err != nil || len(pending) != senders*each*4/5 {
		t.Fatalf("%d pending, %v", len(pending), err)
	}
	for i, m := range pending {
		same(t, "serial", m.Serial, int64(i+1))
	}
}

func concurrentAccept(t *testing.T, e env) {
	var first, again atomic.Int64
	together(8, func(int) {
		switch _, duplicate, err := e.Accept(t.Context(), received("m", 1)); {
		case err != nil:
			t.Errorf("Accept: %v", err)
		case duplicate:
			again.Add(1)
		default:
			first.Add(1)
		}
	})
	same(t, "first and again", []int64{first.Load(), again.Load()}, []int64{1, 7})
}

func concurrentAck(t *testing.T, e env) {
	mustAccept(t, e, received("in", 1))
	var done atomic.Int64
	together(8, func(i int) {
		switch _, err := enqueue(e, t, message(fmt.Sprint("ack", i), ackOf("in"))); {
		case err == nil:
			done.Add(1)
		case !errors.Is(err, store.ErrConflict):
			t.Errorf("Enqueue: %v", err)
		}
	})
	same(t, "acknowledgements", done.Load(), int64(1))
	same(t, "queued", mustCountMessages(t, e).Queued, int64(1))
}

func concurrentReader(t *testing.T, e env) {
	const writers, batches, size = 4, 10, 20
	var finished atomic.Bool
	var reader sync.WaitGroup
	var seen []store.Record
	reader.Go(func() {
		var after int64
		for {
			last := finished.Load()
			page, err := e.ListObjects(t.Context(), "c", store.Query{After: after, Limit: 37})
			if err != nil {
				t.Errorf("ListObjects: %v", err)
				return
			}
			seen = append(seen, page.Records...)
			if n := len(page.Records); n > 0 {
				after = page.Records[n-1].DateAdded.UnixMicro()
			} else if last {
				return
			}
		}
	})
	together(writers, func(w int) {
		for b := range batches {
			from := (w*batches + b) * size
			if _, err := e.PutObjects(t.Context(), "c", objects(from, from+size), ""); err != nil {
				t.Errorf("PutObjects: %v", err)
			}
		}
	})
	finished.Store(true)
	reader.Wait()
	same(t, "records seen", len(seen), writers*batches*size)
	growing(t, seen)
}

func concurrentPut(t *testing.T, e env) {
	var added atomic.Int64
	together(8, func(int) {
		outcomes, err := e.PutObjects(t.Context(), "c", objects(0, 50), "x")
		if err != nil {
			t.Errorf("PutObjects: %v", err)
		}
		for _, o := range outcomes {
			if o == store.Added {
				added.Add(1)
			}
		}
	})
	same(t, "added", added.Load(), int64(50))
	same(t, "listed", len(mustList(t, e, "c", store.Query{}).Records), 50)
}

func concurrentViews(t *testing.T, e env) {
	together(4, func(i int) {
		c := fmt.Sprint("c", i)
		for range 5 {
			if _, err := e.PutObjects(t.Context(), c, objects(0, 20), ""); err != nil {
				t.Errorf("PutObjects: %v", err)
			}
			undecided, err := e.Undecided(t.Context(), view("r"), []string{c}, 7)
			if err == nil {
				err = e.Decide(t.Context(), view("r"), share(undecided...))
			}
			if err != nil {
				t.Errorf("deciding: %v", err)
			}
		}
	})
	all := []string{"c0", "c1", "c2", "c3"}
	growing(t, mustView(t, e, view("r"), all, store.Query{}).Records)
	same(t, "counts", mustCount(t, e, view("r"), all...), store.Counts{Shared: 80, Held: map[string]int64{}})
	taken := map[int64]bool{}
	for _, c := range all {
		for _, r := range mustList(t, e, c, store.Query{}).Records {
			if at := r.DateAdded.UnixMicro(); taken[at] {
				t.Errorf("position %d is used twice", at)
			} else {
				taken[at] = true
			}
		}
	}
}
