// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// raw opens a database without any of our settings.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Run("refuses_a_newer_schema_and_leaves_it_untouched", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "relay.db")
		if err := open(t, path).Close(); err != nil {
			t.Fatal(err)
		}
		raw(t, path, "PRAGMA journal_mode = DELETE", "PRAGMA user_version = 99")
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(t.Context(), Config{Path: path})
		if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "version 99") || !strings.Contains(err.Error(), path) {
			t.Errorf("error is %v", err)
		}
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("the file was changed: %v", err)
		}
	})
	t.Run("refuses_the_database_of_another_program", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "other.db")
		raw(t, path, "CREATE TABLE t (c)")
		if _, err := Open(t.Context(), Config{Path: path}); err == nil || !strings.Contains(err.Error(), "another program") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("refuses_what_is_no_database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "text.db")
		if err := os.WriteFile(path, bytes.Repeat([]byte("text "), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Config{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("names_a_directory_that_is_missing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "missing", "relay.db")
		if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("takes_any_path_and_keeps_the_file_to_ourselves", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a b?c#d%41.db")
		s := open(t, path)
		if _, err := s.PutObjects(t.Context(), "c", []store.Object{{ID: "x", Type: "x", Raw: []byte("x")}}, ""); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, path + "-wal"} {
			info, err := os.Stat(name)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v, want mode 0600", name, info, err)
			}
		}
	})
	t.Run("migrates_once_when_two_open_at_the_same_time", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "relay.db")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s, err := Open(t.Context(), Config{Path: path})
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				_ = s.Close()
			})
		}
		wg.Wait()
	})
	t.Run("syncs_every_commit", func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "relay.db"))
		var mode string
		var level int
		if err := s.write.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
			t.Errorf("journal mode is %q, %v", mode, err)
		}
		if err := s.write.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&level); err != nil || level != 1 {
			t.Errorf("synchronous is %d, %v; want 1 (NORMAL): the log is synced by SQLite around checkpoints, and by the store after each commit", level, err)
		}
		really, syncs := s.flush.sync, 0
		s.flush.sync = func() error { syncs++; return really() }
		for i := range 3 {
			if err := enqueue(t, s, fmt.Sprint(i)); err != nil || syncs != i+1 {
				t.Errorf("%d syncs after %d commits, %v", syncs, i+1, err)
			}
		}
	})
}

// TestTwoProcesses stands for a backup or a second relay: another connection
// holds the write lock for a while.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	one, two := open(t, path), open(t, path)
	var wg sync.WaitGroup
	for _, s := range []*Store{one, two} {
		wg.Go(func() {
			for i := range 50 {
				if _, err := s.Enqueue(t.Context(), "bravo", func(serial int64) (store.Message, error) {
					return store.Message{ID: fmt.Sprint(serial), Payload: []byte("p")}, nil
				}); err != nil {
					t.Errorf("Enqueue %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	pending, err := one.Pending(t.Context(), "bravo", store.MaxMessages)
	if err != nil || len(pending) != 100 || pending[99].Serial != 100 {
		t.Errorf("%d messages, %v", len(pending), err)
	}
}

// TestPlans keeps the promise that a list costs what it returns: no statement
// scans a table or sorts one, except the few of one look-up by id.
func TestPlans(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	for name, query := range map[string]string{
		"page of a collection": `SELECT o.seq FROM objects o INDEXED BY objects_by_position WHERE o.collection = 1 AND o.seq > 5 ORDER BY o.seq LIMIT 9`,
		"page by type":         `SELECT o.seq FROM objects o INDEXED BY objects_by_position WHERE o.collection = 1 AND o.seq > 5 AND o.type IN (1, 2) ORDER BY o.seq LIMIT 9`,
		"page of a view": `SELECT o.seq FROM decisions d INDEXED BY decisions_shared CROSS JOIN objects o ON o.seq = d.seq
			WHERE d.view = 1 AND d.share = 1 AND d.rule = 2 AND d.added > 5 AND d.collection IN (1, 2) ORDER BY d.added LIMIT 9`,
		"queued messages":                     strings.ReplaceAll(fullQueued+queueOrder, "?", "9"),
		"messages that our desk has not read": `SELECT id FROM messages INDEXED BY messages_unanswered WHERE direction = 'in' AND peer = 'b' AND acknowledged_by = '' AND kind <> 'ACK' ORDER BY urgency, serial LIMIT 9`,
		"unanswered":                          `SELECT id FROM unanswered WHERE peer = 'b' ORDER BY urgency, serial LIMIT 9`,
		"messages":                            `SELECT id FROM messages WHERE 1 AND direction = 'in' AND peer = 'b' AND pos < 7 ORDER BY pos DESC LIMIT 9`,
		"messages of one":                     filled(selectMessages(store.MessageQuery{Peer: "b", Kind: "INQUIRY", Before: 7, Limit: 9})),
		"trust of one":                        `SELECT seq FROM trust_records WHERE seq > 7 AND subject = 'b' ORDER BY seq LIMIT 9`,
		"last trust":                          `SELECT seq FROM trust_records WHERE seq > 7 ORDER BY seq LIMIT 9`,
		"hash of a journal":                   arguments(journalHash),
		"batches of a journal":                arguments(journalBatches),
		"newest batch of a journal":           arguments(newestBatch),
		"last receipt":                        `SELECT max(at) FROM receipts WHERE peer = 'b'`,
		"last receipt of earlier releases":    `SELECT max(receipt_at) FROM messages WHERE direction = 'out' AND peer = 'b' AND receipt_at > 0`,
		"not queued":                          lightMessage + ` INDEXED BY messages_unanswered WHERE direction = 'out' AND peer = 'b' AND acknowledged_by = '' AND kind <> 'ACK'` + notInQueue + ` ORDER BY urgency, serial LIMIT 9`,
	} {
		plan := explain(t, s, query)
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

// TestPlansOfPages is TestPlans for the statements that are made to measure: they go
// along the positions, or from one id to its few versions, which are sorted.
func TestPlansOfPages(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	if _, err := s.PutObjects(t.Context(), "c", []store.Object{{ID: "x--1", Type: "x", Raw: []byte("x")}}, ""); err != nil {
		t.Fatal(err)
	}
	v := store.View{Feed: "f", Peer: "bravo", Rule: "r"}
	found, err := s.Undecided(t.Context(), v, []string{"c"}, 1)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := s.Decide(t.Context(), v, []store.Decision{{Seq: found[0].Seq, Share: true, Reason: "Allowed"}}); err != nil {
		t.Fatal(err)
	}
	every := store.Versions{First: true, Last: true, At: []time.Time{time.Unix(1, 0)}}
	for name, q := range map[string]store.Query{
		"all":                   {Limit: 9},
		"last of newest":        {Limit: 9, Versions: store.Versions{Last: true}, NewestSpec: true},
		"every way of a spec":   {Limit: 9, Versions: every, Specs: []string{"2.1"}, Types: []string{"x"}},
		"by id":                 {Limit: 9, IDs: []string{"x--1"}},
		"by id, last of newest": {Limit: 9, IDs: []string{"x--1"}, Versions: store.Versions{Last: true}, NewestSpec: true},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.look(t.Context(), "explaining", func(tx *transaction) error {
				list, err := selectObjects(t.Context(), tx, "c", q)
				if err != nil {
					return err
				}
				view, err := selectView(t.Context(), tx, v, []string{"c", "d"}, q)
				if err != nil {
					return err
				}
				for _, c := range []*selection{list, view} {
					plan := explain(t, s, c.text.String(), c.args...)
					sorts := strings.Contains(plan, "TEMP B-TREE")
					if strings.Contains(plan, "SCAN") || sorts && len(q.IDs) == 0 || len(q.IDs) > 0 && strings.Contains(plan, "by_position") {
						t.Errorf("%s: %s", c.text.String(), plan)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTurns(t *testing.T) {
	turns := newTurns()
	leave, err := turns.take(t.Context(), feed)
	if err != nil {
		t.Fatal(err)
	}
	order := make(chan lane, 4)
	var wg sync.WaitGroup
	queue := func(l lane, waiting int) {
		t.Helper()
		wg.Go(func() {
			leave, err := turns.take(t.Context(), l)
			if err != nil {
				t.Error(err)
				return
			}
			order <- l
			leave()
		})
		until(t, func() bool {
			turns.mu.Lock()
			defer turns.mu.Unlock()
			return len(turns.waiting[hotline])+len(turns.waiting[feed]) == waiting
		})
	}
	queue(feed, 1)
	queue(feed, 2)
	queue(hotline, 3)
	queue(hotline, 4)
	leave()
	wg.Wait()
	for i, want := range []lane{hotline, hotline, feed, feed} {
		if got := <-order; got != want {
			t.Errorf("turn %d goes to lane %d, want %d", i, got, want)
		}
	}
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("deadline passed")
		}
	}
}

// TestAPageLooksAtABoundedNumber: of many records one page looks at maxWalk, and the next goes on.
func TestAPageLooksAtABoundedNumber(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	v, in := store.View{Feed: "f", Peer: "bravo", Rule: "r"}, []string{"c"}
	put := func(first, n int, typ string) {
		t.Helper()
		batch := make([]store.Object, n)
		for i := range batch {
			batch[i] = store.Object{ID: fmt.Sprintf("%s--%d", typ, first+i), Type: typ, SpecVersion: "2.1", Raw: []byte("x")}
		}
		if _, err := s.PutObjects(t.Context(), "c", batch, ""); err != nil {
			t.Fatal(err)
		}
	}
	decide := func(rule string, n int) {
		t.Helper()
		v.Rule = rule
		found, err := s.Undecided(t.Context(), v, in, n)
		if err != nil {
			t.Fatal(err)
		}
		decisions := make([]store.Decision, len(found))
		for i, r := range found {
			decisions[i] = store.Decision{Seq: r.Seq, Share: true, Reason: "Allowed"}
		}
		if err := s.Decide(t.Context(), v, decisions); err != nil {
			t.Fatal(err)
		}
	}
	put(0, maxWalk, "many")
	put(maxWalk, maxWalk/2, "many")
	put(0, 2, "few")
	decide("r", maxWalk)
	decide("r", maxWalk)
	q := store.Query{Types: []string{"few"}, Limit: 10}
	for name, list := range map[string]func(store.Query) (store.Page, error){
		"collection": func(q store.Query) (store.Page, error) { return s.ListObjects(t.Context(), "c", q) },
		"view":       func(q store.Query) (store.Page, error) { return s.ListView(t.Context(), v, in, q) },
	} {
		first, err := list(q)
		if err != nil || len(first.Records) != 0 || first.Next == 0 {
			t.Fatalf("first page of the %s = %d records, next %d, %v", name, len(first.Records), first.Next, err)
		}
		rest := q
		rest.After = first.Next
		if second, err := list(rest); err != nil || len(second.Records) != 2 || second.Next != 0 {
			t.Errorf("second page of the %s = %d records, next %d, %v", name, len(second.Records), second.Next, err)
		}
	}
	// While records wait for a new rule, no page leads behind them.
	decide("new", 10)
	if page, err := s.ListView(t.Context(), v, in, q); err != nil || len(page.Records) != 0 || page.Next != 0 {
		t.Errorf("under the new rule = %d records, next %d, %v", len(page.Records), page.Next, err)
	}
}
