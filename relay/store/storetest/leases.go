// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var leaseTests = map[string]func(t *testing.T, e env){
	"gives_a_lease_to_one_holder_at_a_time":              leaseToOne,
	"gives_a_lease_that_expired_to_another":              leaseExpires,
	"gives_a_lease_that_was_released_to_another":         leaseReleased,
	"gives_a_lease_to_one_of_many_that_ask_at_once":      leaseOnce,
	"refuses_a_change_under_a_lease_of_another":          leaseFences,
	"keeps_leases_apart_by_name":                         leaseNames,
	"keeps_the_last_note_of_a_lease":                     leaseNotes,
	"refuses_leases_out_of_bounds":                       leaseBounds,
	"ends_a_watch_with_its_context_and_begins_with_news": watchEnds,
}

func mustAcquire(t *testing.T, s store.Store, name, holder string) (store.Lease, bool) {
	t.Helper()
	l, held, err := s.Acquire(t.Context(), name, holder, time.Minute)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	return l, held
}

func wantLease(t *testing.T, s store.Store, name, holder string) store.Lease {
	t.Helper()
	l, held := mustAcquire(t, s, name, holder)
	if !held || l.Name != name {
		t.Fatalf("%s has %+v, held %v", holder, l, held)
	}
	return l
}

func wantNoLease(t *testing.T, s store.Store, name, holder string) {
	t.Helper()
	if l, held := mustAcquire(t, s, name, holder); held {
		t.Errorf("%s has %+v as well", holder, l)
	}
}

// clocked opens the store anew with a clock that the test moves.
func clocked(t *testing.T, e env) (s store.Store, pass func(time.Duration)) {
	t.Helper()
	var now atomic.Int64
	now.Store(epoch.UnixMicro())
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.reopen(t, Options{Now: func() time.Time { return time.UnixMicro(now.Load()) }})
	return s, func(d time.Duration) { now.Add(d.Microseconds()) }
}

func leaseToOne(t *testing.T, e env) {
	first := wantLease(t, e, "work", "a")
	wantNoLease(t, e, "work", "b")
	same(t, "renewed", wantLease(t, e, "work", "a"), first)
}

func leaseExpires(t *testing.T, e env) {
	s, pass := clocked(t, e)
	first := wantLease(t, s, "work", "a")
	pass(59 * time.Second)
	wantNoLease(t, s, "work", "b")
	same(t, "renewed in time", wantLease(t, s, "work", "a"), first)
	pass(59 * time.Second)
	wantNoLease(t, s, "work", "b")
	pass(time.Second)
	second := wantLease(t, s, "work", "b")
	wantNoLease(t, s, "work", "a")
	pass(time.Hour)
	third := wantLease(t, s, "work", "b")
	if second.Token <= first.Token || third.Token <= second.Token {
		t.Errorf("tokens %d, %d and %d do not grow", first.Token, second.Token, third.Token)
	}
}

func leaseReleased(t *testing.T, e env) {
	first := wantLease(t, e, "work", "a")
	if err := e.Release(t.Context(), "work", "b"); err != nil {
		t.Fatal(err)
	}
	wantNoLease(t, e, "work", "b")
	if err := e.Release(t.Context(), "work", "a"); err != nil {
		t.Fatal(err)
	}
	if second := wantLease(t, e, "work", "b"); second.Token <= first.Token {
		t.Errorf("token %d follows %d", second.Token, first.Token)
	}
	if err := e.Release(t.Context(), "unknown", "a"); err != nil {
		t.Errorf("releasing what nobody has: %v", err)
	}
}

func leaseOnce(t *testing.T, e env) {
	var given atomic.Int64
	together(8, func(i int) {
		if _, held, err := e.Acquire(t.Context(), "work", string(rune('a'+i)), time.Minute); err != nil {
			t.Errorf("Acquire: %v", err)
		} else if held {
			given.Add(1)
		}
	})
	same(t, "holders", given.Load(), int64(1))
}

func leaseFences(t *testing.T, e env) {
	stale := wantLease(t, e, "work", "a")
	put := func(l store.Lease, n int) error {
		_, err := e.PutObjects(store.Under(t.Context(), l), "c", objects(n, n+1), "")
		return err
	}
	wantErr(t, put(stale, 1), nil)
	if err := e.Release(t.Context(), "work", "a"); err != nil {
		t.Fatal(err)
	}
	fresh := wantLease(t, e, "work", "b")
	wantErr(t, put(stale, 2), store.ErrFenced)
	wantErr(t, put(fresh, 3), nil)
	same(t, "stored", ids(mustList(t, e, "c", store.Query{}).Records), objectIDs(1, 3))
	_, err := e.Enqueue(store.Under(t.Context(), stale), "bravo.example", func(int64) (store.Message, error) { return message("m"), nil })
	wantErr(t, err, store.ErrFenced)
	same(t, "queued", mustCountMessages(t, e).Queued, int64(0))
}

func leaseNames(t *testing.T, e env) {
	wantLease(t, e, "one", "a")
	wantLease(t, e, "two", "b")
	wantNoLease(t, e, "one", "b")
}

func leaseNotes(t *testing.T, e env) {
	note := func(l store.Lease, text string) error { return e.Note(t.Context(), l, []byte(text)) }
	notes := func(prefix string) map[string]string {
		t.Helper()
		found, err := e.Notes(t.Context(), prefix)
		if err != nil {
			t.Fatalf("Notes: %v", err)
		}
		texts := map[string]string{}
		for name, n := range found {
			texts[name] = string(n)
		}
		return texts
	}
	one, other := wantLease(t, e, "pull/one", "a"), wantLease(t, e, "pull_two", "a")
	wantErr(t, note(one, "first"), nil)
	wantErr(t, note(one, "second"), nil)
	wantErr(t, note(other, "third"), nil)
	wantLease(t, e, "pull/silent", "a")
	same(t, "notes", notes("pull/"), map[string]string{"pull/one": "second"})
	same(t, "all", notes(""), map[string]string{"pull/one": "second", "pull_two": "third"})
	if err := e.Release(t.Context(), "pull/one", "a"); err != nil {
		t.Fatal(err)
	}
	next := wantLease(t, e, "pull/one", "b")
	wantErr(t, note(one, "late"), store.ErrFenced)
	wantErr(t, note(store.Lease{Name: "unknown", Token: 1}, "x"), store.ErrFenced)
	same(t, "of the holder before", notes("pull/"), map[string]string{"pull/one": "second"})
	wantErr(t, note(next, "fourth"), nil)
	same(t, "at the end", notes("pull/"), map[string]string{"pull/one": "fourth"})
	for _, text := range []string{"", strings.Repeat("x", store.MaxLeaseNote+1)} {
		if err := note(next, text); err == nil {
			t.Errorf("a note of %d bytes is taken", len(text))
		}
	}
}

func leaseBounds(t *testing.T, e env) {
	long := strings.Repeat("x", store.MaxLeaseName+1)
	for name, l := range map[string]struct {
		name, holder string
		ttl          time.Duration
	}{"no name": {"", "a", 1e9}, "no holder": {"n", "", 1e9}, "a long name": {long, "a", 1e9}, "a long holder": {"n", long, 1e9}, "no time": {"n", "a", 0}} {
		if _, held, err := e.Acquire(t.Context(), l.name, l.holder, l.ttl); err == nil || held {
			t.Errorf("%s: held %v, %v", name, held, err)
		}
	}
}

func watchEnds(t *testing.T, e env) {
	ctx, cancel := cancelled(t)
	cancel()
	if err := e.Watch(ctx, func(string) {}); err != nil {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	begun := make(chan string, 1)
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := e.Watch(ctx, func(topic string) {
			select {
			case begun <- topic:
			default:
			}
		}); err != nil {
			t.Error(err)
		}
	})
	same(t, "first news", <-begun, "")
	cancel()
	watching.Wait()
}
