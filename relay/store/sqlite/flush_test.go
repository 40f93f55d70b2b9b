// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// gated lets each sync of a store wait until it is let through.
type gated struct {
	begun, through chan struct{}
	syncs          atomic.Int64
}

func gate(s *Store) *gated {
	g := &gated{begun: make(chan struct{}, 100), through: make(chan struct{})}
	really := s.flush.sync
	s.flush.sync = func() error {
		g.syncs.Add(1)
		g.begun <- struct{}{}
		<-g.through
		return really()
	}
	return g
}

func enqueue(t *testing.T, s *Store, id string) error {
	t.Helper()
	_, err := s.Enqueue(t.Context(), "bravo", func(serial int64) (store.Message, error) {
		return store.Message{ID: id, Conversation: id, Payload: []byte(id), Precedence: "ROUTINE"}, nil
	})
	return err
}

func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("%s: not within a minute", what)
		panic("unreachable")
	}
}

func returned(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

func still[T any](t *testing.T, c <-chan T, what string) {
	t.Helper()
	select {
	case <-c:
		t.Errorf("%s before the log was synced", what)
	default:
	}
}

func TestAChangeAndWhatReadsItReturnAfterTheSync(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	g := gate(s)
	written := make(chan struct{})
	change := returned(func() error {
		return s.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error {
			tx.Written(func() { close(written) })
			_, err := tx.Enqueue(func(int64) (store.Message, error) {
				return store.Message{ID: "m1", Conversation: "m1", Payload: []byte("m1")}, nil
			})
			return err
		})
	})
	within(t, written, "told that it is written")
	within(t, g.begun, "the sync")
	pending, err := s.Pending(t.Context(), "bravo", 10)
	if err != nil || len(pending) != 1 {
		t.Errorf("Pending shows %d messages while the log is synced, %v; want 1", len(pending), err)
	}
	read := returned(func() error {
		_, err := s.GetMessage(t.Context(), store.Out, "bravo", "m1")
		return err
	})
	after := func(l store.LineReader) error { _, err := l.After(store.Out, 0, 10); return err }
	if err := within(t, returned(func() error { return s.GlanceLine(t.Context(), "bravo", after) }), "GlanceLine"); err != nil {
		t.Error(err)
	}
	seen := make(chan struct{})
	line := returned(func() error {
		return s.ReadLine(t.Context(), "bravo", func(l store.LineReader) error { defer close(seen); return after(l) })
	})
	within(t, seen, "what ReadLine reads")
	still(t, change, "ChangeLine returned")
	still(t, read, "GetMessage showed the message")
	select {
	case <-line:
		t.Error("ReadLine returned before the log was synced")
	case <-time.After(50 * time.Millisecond): // it has nothing else to wait for
	}
	close(g.through)
	if err := within(t, change, "ChangeLine"); err != nil {
		t.Error(err)
	}
	if err := within(t, read, "GetMessage"); err != nil {
		t.Error(err)
	}
	if err := within(t, line, "ReadLine"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsWrittenDuringASyncSharesTheNext(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	g := gate(s)
	first := returned(func() error { return enqueue(t, s, "first") })
	within(t, g.begun, "the first sync")
	var all []<-chan error
	const more = 20
	for i := range more {
		all = append(all, returned(func() error { return enqueue(t, s, fmt.Sprint("more", i)) }))
	}
	for s.flush.visible() < more+1 { // they are written while the first is synced
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
		}
	}
	close(g.through)
	for _, c := range append(all, first) {
		if err := within(t, c, "a change"); err != nil {
			t.Error(err)
		}
	}
	// The last may have begun, and not ended, when the second sync began.
	if n := g.syncs.Load(); n > 3 {
		t.Errorf("%d syncs for 1 change and %d during its sync, want 2 or 3", n, more)
	}
}

func TestAfterASyncThatFailedNothingIsMadeOrShown(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	broken, syncs := errors.New("input/output error"), 0
	s.flush.sync = func() error { syncs++; return broken }
	if err := enqueue(t, s, "m1"); !errors.Is(err, ErrUnflushed) || !errors.Is(err, broken) {
		t.Errorf("a change whose sync fails returns %v", err)
	}
	if err := enqueue(t, s, "m2"); !errors.Is(err, ErrUnflushed) {
		t.Errorf("the next change returns %v", err)
	}
	if _, err := s.GetMessage(t.Context(), store.Out, "bravo", "m1"); !errors.Is(err, ErrUnflushed) {
		t.Errorf("a read returns %v", err)
	}
	if err := s.ReadLine(t.Context(), "bravo", func(store.LineReader) error { return nil }); !errors.Is(err, ErrUnflushed) {
		t.Errorf("reading the line returns %v", err)
	}
	if pending, err := s.Pending(t.Context(), "bravo", 10); err != nil || len(pending) != 1 {
		t.Errorf("%d messages were written, %v; want the first", len(pending), err)
	}
	if err := s.Watch(t.Context(), func(string) {}); !errors.Is(err, ErrUnflushed) {
		t.Errorf("who watches the store is told %v", err)
	}
	if syncs != 1 {
		t.Errorf("%d syncs: the second says nothing about what the first lost", syncs)
	}
}

func TestWhatIsUndoneNeedsNoSync(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	syncs := 0
	s.flush.sync = func() error { syncs++; return nil }
	refused := errors.New("refused")
	err := s.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error {
		tx.Written(func() { t.Error("told that something is written which was undone") })
		return refused
	})
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, err := s.GetMessage(t.Context(), store.Out, "bravo", "m1"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if syncs != 0 {
		t.Errorf("%d syncs", syncs)
	}
}

// TestAPowerLossLosesNothingThatWasAnswered keeps what the last sync had brought to the disk, at worst, and
// opens that after each answer: the log as it was when the sync began, beside the database
// as SQLite's own checkpoints left it.
func TestAPowerLossLosesNothingThatWasAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	var mu sync.Mutex
	var disk []byte
	really := s.flush.sync
	s.flush.sync = func() error {
		log, err := os.ReadFile(path + "-wal")
		if err != nil {
			return err
		}
		mu.Lock()
		disk = log
		mu.Unlock()
		return really()
	}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 8 {
				id := fmt.Sprintf("m%d-%d", w, i)
				if err := enqueue(t, s, id); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				log := disk
				mu.Unlock()
				if err := foundAfterPowerLoss(t, path, log, id); err != nil {
					t.Errorf("message %s was stored, and is lost: %v", id, err)
				}
			}
		})
	}
	writers.Wait()
}

func foundAfterPowerLoss(t *testing.T, path string, log []byte, id string) error {
	t.Helper()
	dir := t.TempDir()
	database, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	again := filepath.Join(dir, "relay.db")
	if err := errors.Join(os.WriteFile(again, database, 0o600), os.WriteFile(again+"-wal", log, 0o600)); err != nil {
		return err
	}
	s, err := Open(t.Context(), Config{Path: again})
	if err != nil {
		return err
	}
	_, err = s.GetMessage(t.Context(), store.Out, "bravo", id)
	return errors.Join(err, s.Close())
}

func TestCloseWaitsForASyncThatRuns(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	g := gate(s)
	change := returned(func() error { return enqueue(t, s, "m1") })
	within(t, g.begun, "the sync")
	end := returned(s.Close)
	select {
	case err := <-end:
		t.Errorf("Close returns %v during a sync", err)
	case <-time.After(50 * time.Millisecond): // it has nothing else to wait for
	}
	close(g.through)
	if err := within(t, change, "the change"); err != nil {
		t.Errorf("what was stored when Close was called: %v", err)
	}
	if err := within(t, end, "Close"); err != nil {
		t.Error(err)
	}
}

// TestTheLogStaysWhenAConnectionIsGivenUp: database/sql gives up one whose statement was interrupted, and with the
// last of them SQLite removes the log: what is synced then would be a file that nobody finds.
func TestTheLogStaysWhenAConnectionIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	for _, db := range []*sql.DB{s.write, s.read} {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Raw(func(any) error { return driver.ErrBadConn })
		_ = c.Close()
	}
	if err := enqueue(t, s, "m1"); err != nil {
		t.Fatal(err)
	}
	there, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := s.log.Stat(); err != nil || !os.SameFile(there, ours) {
		t.Errorf("another file is synced, %v", err)
	}
}

func TestTheLogThatIsSyncedIsTheOneThatSQLiteWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	for round := range 3 {
		if err := enqueue(t, s, fmt.Sprint(round)); err != nil {
			t.Fatal(err)
		}
		// The log begins anew after this.
		if _, err := s.carry.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			t.Fatal(err)
		}
		there, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if ours, err := s.log.Stat(); err != nil || !os.SameFile(there, ours) {
			t.Errorf("round %d: another file is synced, %v", round, err)
		}
	}
}
