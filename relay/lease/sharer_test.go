// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table is a store of leases whose clock is that of the test, and which can be away.
type table struct {
	mu     sync.Mutex
	away   bool
	holder map[string]string
	until  map[string]time.Time
	token  map[string]int64
}

func newTable() *table {
	return &table{holder: map[string]string{}, until: map[string]time.Time{}, token: map[string]int64{}}
}

var errAway = errors.New("the store is away")

var errUnder = errors.New("a store refuses to renew a lease under itself once another has it, which is no answer")

func (t *table) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (store.Lease, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	live := t.until[name].After(time.Now())
	_, under := store.LeaseOf(ctx)
	switch {
	case under:
		return store.Lease{}, false, errUnder
	case t.away:
		return store.Lease{}, false, errAway
	case live && t.holder[name] != holder:
		return store.Lease{}, false, nil
	case !live:
		t.token[name]++
	}
	t.holder[name], t.until[name] = holder, time.Now().Add(ttl)
	return store.Lease{Name: name, Token: t.token[name]}, true, nil
}

func (t *table) Release(_ context.Context, name, holder string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.away {
		return errAway
	}
	if t.holder[name] == holder {
		t.until[name] = time.Time{}
	}
	return nil
}

func (t *table) Note(context.Context, store.Lease, []byte) error { return errAway }

func (t *table) Notes(context.Context, string) (map[string][]byte, error) { return nil, errAway }

func (t *table) set(away bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = away
}

// worker counts who works at the moment.
type worker struct {
	together *atomic.Int64
	most     *atomic.Int64
	working  atomic.Bool
	begun    atomic.Int64
	tokens   chan int64
}

func (w *worker) work(ctx context.Context) {
	l, _ := store.LeaseOf(ctx)
	w.tokens <- l.Token
	w.begun.Add(1)
	w.working.Store(true)
	if n := w.together.Add(1); n > w.most.Load() {
		w.most.Store(n)
	}
	<-ctx.Done()
	w.together.Add(-1)
	w.working.Store(false)
}

// pair are two replicas that share one piece of work.
func pair(t *testing.T, a, b store.Leases) (one, two *worker, stopOne, stopTwo func()) {
	t.Helper()
	together, most := &atomic.Int64{}, &atomic.Int64{}
	start := func(s store.Leases, holder string) (*worker, func()) {
		w := &worker{together: together, most: most, tokens: make(chan int64, 100)}
		sharer, err := New(Config{Store: s, Holder: holder})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { sharer.Do(ctx, "work", w.work) })
		stop := func() { cancel(); running.Wait() }
		t.Cleanup(func() {
			stop()
			if n := most.Load(); n > 1 {
				t.Errorf("%d replicas worked together", n)
			}
		})
		synctest.Wait()
		return w, stop
	}
	one, stopOne = start(a, "one")
	two, stopTwo = start(b, "two")
	return one, two, stopOne, stopTwo
}

func wantWorking(t *testing.T, one, two *worker, wantOne, wantTwo bool) {
	t.Helper()
	synctest.Wait()
	if one.working.Load() != wantOne || two.working.Load() != wantTwo {
		t.Errorf("the first works: %v, the second: %v; want %v, %v", one.working.Load(), two.working.Load(), wantOne, wantTwo)
	}
}

func TestOneReplicaWorksAndTheOtherTakesOver(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		leases := newTable()
		one, two, stopOne, _ := pair(t, leases, leases)
		wantWorking(t, one, two, true, false)
		pass(time.Hour)
		wantWorking(t, one, two, true, false)
		stopOne()
		pass(DefaultTime / 2)
		wantWorking(t, one, two, false, true)
		if first, second := <-one.tokens, <-two.tokens; second <= first {
			t.Errorf("token %d follows %d", second, first)
		}
		if one.begun.Load() != 1 {
			t.Errorf("the first began %d times", one.begun.Load())
		}
	})
}

// own is a replica's way to the leases, which can be cut by itself.
type own struct {
	*table
	cut atomic.Bool
}

func (o *own) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (store.Lease, bool, error) {
	if o.cut.Load() {
		<-ctx.Done()
		return store.Lease{}, false, ctx.Err()
	}
	return o.table.Acquire(ctx, name, holder, ttl)
}

func TestAReplicaThatIsCutOffStopsBeforeAnotherBegins(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		leases := newTable()
		way := &own{table: leases}
		one, two, _, _ := pair(t, way, leases)
		way.cut.Store(true)
		pass(2 * DefaultTime)
		wantWorking(t, one, two, false, true)
	})
}

func TestAStoreThatIsAwayForAMomentStopsNobody(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		leases := newTable()
		one, two, _, _ := pair(t, leases, leases)
		leases.set(true)
		pass(DefaultTime / 2)
		leases.set(false)
		pass(DefaultTime)
		wantWorking(t, one, two, true, false)
		if one.begun.Load() != 1 {
			t.Errorf("it began %d times", one.begun.Load())
		}
		leases.set(true)
		pass(2 * DefaultTime)
		wantWorking(t, one, two, false, false)
		leases.set(false)
		pass(DefaultTime)
		synctest.Wait()
		if one.working.Load() == two.working.Load() {
			t.Error("nobody works, or both do")
		}
	})
}

func TestWorkThatIsDoneIsNotDoneAgain(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		leases := newTable()
		sharer, err := New(Config{Store: leases})
		if err != nil {
			t.Fatal(err)
		}
		times := 0
		sharer.Do(t.Context(), "work", func(context.Context) { times++ })
		if times != 1 || leases.until["work"].After(time.Now()) {
			t.Errorf("it was done %d times, and the lease ends %v", times, leases.until["work"])
		}
	})
}

func TestASharerNeedsAStore(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("it needs none")
	}
}

// pass lets time go by in a bubble.
func pass(d time.Duration) { <-time.After(d) }
