// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

// wire is a way to the server that can go dead: from then on nothing comes through in either direction, and neither
// end is told, as when the node of a replica loses its power.
type wire struct {
	dir  string
	l    net.Listener
	dead atomic.Bool
	done sync.WaitGroup

	mu   sync.Mutex // guards what follows
	ends []net.Conn
}

func newWire(t *testing.T) *wire {
	t.Helper()
	server := testpostgres.Shared(t)
	w := &wire{dir: t.TempDir()}
	var err error
	if w.l, err = (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(w.dir, testpostgres.Socket)); err != nil {
		t.Fatal(err)
	}
	w.done.Go(func() {
		for {
			client, err := w.l.Accept()
			if err != nil {
				return
			}
			up, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "unix", filepath.Join(server.Dir(), testpostgres.Socket))
			if err != nil {
				_ = client.Close()
				continue
			}
			w.mu.Lock()
			w.ends = append(w.ends, client, up)
			w.mu.Unlock()
			w.done.Go(func() { w.carry(client, up) })
			w.done.Go(func() { w.carry(up, client) })
		}
	})
	t.Cleanup(w.close)
	return w
}

// carry brings bytes from one end to the other while the way lives.
func (w *wire) carry(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if w.dead.Load() {
			n = 0
		}
		if n > 0 {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			if errors.Is(err, io.EOF) && !w.dead.Load() {
				_ = to.Close()
			}
			return
		}
	}
}

// close ends everything.
func (w *wire) close() {
	_ = w.l.Close()
	w.mu.Lock()
	for _, c := range w.ends {
		_ = c.Close()
	}
	w.mu.Unlock()
	w.done.Wait()
}

// waiters is how many sessions wait for the row of a line.
func waiters(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.bulk.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAReplicaThatIsGoneWithoutAWordHoldsALineForSeconds: one of its transactions has the row of the line, under the
// lease, and another waits for it. Those of the other replica wait until the server has given up both.
func TestAReplicaThatIsGoneWithoutAWordHoldsALineForSeconds(t *testing.T) {
	const most = 20 * time.Second // after which the others used to give up; of these the server needs 10
	way := newWire(t)
	direct := testpostgres.Shared(t).Fresh(t)
	cfg, err := pgx.ParseConfig(direct)
	if err != nil {
		t.Fatal(err)
	}
	gone := openAt(t, testpostgres.Through(way.dir, "postgres")+"&search_path="+cfg.RuntimeParams["search_path"])
	stays := openAt(t, direct)
	nothing := func(store.LineTx) error { return nil }
	if err := stays.ChangeLine(t.Context(), "bravo", nothing); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	var taking sync.WaitGroup
	defer func() {
		taking.Wait()
		way.close()
		cancel()
		calls.Wait()
	}()
	lease, held, err := gone.Acquire(ctx, store.HotlineTopic("bravo"), "gone", time.Second)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	holding := make(chan struct{})
	calls.Go(func() {
		_ = gone.ChangeLine(store.Under(ctx, lease), "bravo", func(store.LineTx) error {
			close(holding)
			<-ctx.Done()
			return ctx.Err()
		})
	})
	<-holding
	calls.Go(func() { _ = gone.ChangeLine(ctx, "bravo", nothing) })
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waiters(t, stays) == 0 {
		<-tick.C
	}
	way.dead.Store(true)
	begun := time.Now()
	taking.Go(func() {
		again := time.NewTicker(100 * time.Millisecond)
		defer again.Stop()
		for held := false; !held; <-again.C {
			var err error
			if _, held, err = stays.Acquire(t.Context(), store.HotlineTopic("bravo"), "stays", time.Second); err != nil {
				t.Errorf("taking over the lease after %v: %v", time.Since(begun), err)
				return
			}
		}
		if took := time.Since(begun); took > most {
			t.Errorf("the lease is taken over after %v", took)
		} else {
			t.Logf("the lease is taken over after %v", took)
		}
	})
	if err := stays.ChangeLine(t.Context(), "bravo", nothing); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > most {
		t.Errorf("the line is changed after %v", took)
	} else {
		t.Logf("the line is changed after %v", took)
	}
}
