// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/internal/testpostgres"
	"github.com/certlink/certlink/relay/store"
)

// raw runs statements without any of our settings.
func raw(t *testing.T, uri string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func wantRefused(t *testing.T, uri, text string) error {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: always(uri)})
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error is %v, want %q", err, text)
	}
	return err
}

func TestOpen(t *testing.T) {
	server := testpostgres.Shared(t)
	t.Run("refuses_a_newer_schema_and_leaves_it_untouched", func(t *testing.T) {
		uri := server.Fresh(t)
		if err := openAt(t, uri).Close(); err != nil {
			t.Fatal(err)
		}
		raw(t, uri, "UPDATE certlink_schema SET version = 99")
		if err := wantRefused(t, uri, "version 99"); !errors.Is(err, store.ErrNewerSchema) {
			t.Errorf("error is %v", err)
		}
		raw(t, uri, "UPDATE certlink_schema SET version = 98 WHERE version = 99")
		wantRefused(t, uri, "version 98")
	})
	t.Run("refuses_the_database_of_another_program", func(t *testing.T) {
		uri := server.Fresh(t)
		raw(t, uri, "CREATE TABLE t (c int)")
		wantRefused(t, uri, "another program")
	})
	t.Run("refuses_too_few_connections", func(t *testing.T) {
		if _, err := Open(t.Context(), Config{URL: always(server.Fresh(t)), MaxConnections: 3}); err == nil {
			t.Error("it takes three")
		}
	})
	t.Run("migrates_once_when_many_open_at_the_same_time", func(t *testing.T) {
		uri := server.Fresh(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s, err := Open(t.Context(), Config{URL: always(uri)})
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				_ = s.Close()
			})
		}
		wg.Wait()
	})
	t.Run("goes_on_with_the_next_step_after_a_crash_between_two", func(t *testing.T) {
		uri := server.Fresh(t)
		first, err := migrations.ReadFile("migrations/0001_first.sql")
		if err != nil {
			t.Fatal(err)
		}
		raw(t, uri, "CREATE TABLE certlink_schema (one boolean PRIMARY KEY DEFAULT true, version integer NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid())",
			"INSERT INTO certlink_schema (version) VALUES (1)")
		conn, err := pgx.Connect(t.Context(), uri)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.PgConn().Exec(t.Context(), string(first)).ReadAll(); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO lines (peer, out_serial) VALUES ('bravo', 41)"); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		m, err := openAt(t, uri).Enqueue(t.Context(), "bravo", func(serial int64) (store.Message, error) {
			return store.Message{ID: fmt.Sprint(serial), Payload: []byte("p")}, nil
		})
		if err != nil || m.Serial != 42 {
			t.Errorf("serial %d, %v", m.Serial, err)
		}
	})
	t.Run("syncs_every_commit_whatever_the_role_says", func(t *testing.T) {
		uri := server.Fresh(t)
		s := openAt(t, uri+"&synchronous_commit=off")
		var level string
		if err := s.urgent.QueryRow(t.Context(), "SELECT current_setting('synchronous_commit')").Scan(&level); err != nil || level != "on" {
			t.Errorf("synchronous_commit is %q, %v", level, err)
		}
	})
}

func TestAConnectionThatLeadsElsewhereIsRefused(t *testing.T) {
	server := testpostgres.Shared(t)
	uri := server.Fresh(t)
	var mu sync.Mutex
	now := uri
	s, err := Open(t.Context(), Config{URL: func() (string, error) {
		mu.Lock()
		defer mu.Unlock()
		return now, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Cursor(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	other := server.Fresh(t)
	_ = openAt(t, other)
	mu.Lock()
	now = other
	mu.Unlock()
	s.bulk.Reset()
	if _, err := s.Cursor(t.Context(), "c"); err == nil || !strings.Contains(err.Error(), "another database") {
		t.Errorf("error is %v", err)
	}
	raw(t, uri, "UPDATE certlink_schema SET version = version + 1")
	mu.Lock()
	now = uri
	mu.Unlock()
	s.bulk.Reset()
	if _, err := s.Cursor(t.Context(), "c"); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("on a schema that became newer: %v", err)
	}
}

// The URI is a secret: whatever is wrong, no error quotes it.
func TestNoErrorTellsOfTheConnectionURI(t *testing.T) {
	server := testpostgres.Shared(t)
	const secret = "hunter2-secret"
	for name, uri := range map[string]string{
		"no URI":             "user=relay password=" + secret,
		"an unknown setting": "postgres://relay:" + secret + "@db.alfa.example/x?sslmode=" + secret,
		"a broken URI":       "postgres://relay:" + secret + "%zz@db.alfa.example/x",
		"a broken port":      "postgres://relay:" + secret + "@db.alfa.example:" + secret + "/x",
		"a closed port":      "postgres://relay:" + secret + "@127.0.0.1:1/x",
		"a wrong password":   "postgres://relay:" + secret + "@/postgres?host=" + server.Dir(),
		"no such database":   server.URL(secret),
		"no such host":       "postgres://relay:" + secret + "@db.alfa.example/x?connect_timeout=2",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := Open(ctx, Config{URL: always(uri)})
			if err == nil {
				t.Fatal("it opens")
			}
			for _, part := range []string{secret, "db.alfa.example", "open-sesame"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("the error tells %q: %v", part, err)
				}
			}
			t.Log(err)
		})
	}
}

// A CA that is missing is no fault of the URI.
func TestAFileThatTheURINamesIsNamedWhenItIsMissing(t *testing.T) {
	const uri = "postgres://relay:hunter2-secret@db.alfa.example/x?sslmode=verify-full&sslrootcert=/etc/certlink/postgres/ca.crt"
	_, err := parse(uri)
	if err == nil || !strings.Contains(err.Error(), "/etc/certlink/postgres/ca.crt") || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "db.alfa") {
		t.Errorf("the error is %v", err)
	}
}

func TestTheRecordOfTrustCanOnlyGrow(t *testing.T) {
	s := open(t)
	if err := s.AppendTrust(t.Context(), func(store.TrustRecord) (store.TrustChange, error) {
		return store.TrustChange{Records: []store.TrustRecord{{Subject: "x", Content: []byte("x")}}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"DELETE FROM trust_records", "UPDATE trust_records SET content = 'y'", "TRUNCATE trust_records"} {
		if _, err := s.urgent.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// TestTwoStoresOnOneDatabase stands for two replicas.
func TestTwoStoresOnOneDatabase(t *testing.T) {
	uri := testpostgres.Shared(t).Fresh(t)
	one, two := openAt(t, uri), openAt(t, uri)
	heard := make(chan string, 100)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { _ = two.Watch(ctx, func(topic string) { heard <- topic }) })
	defer watching.Wait()
	defer stop()
	if first := <-heard; first != "" {
		t.Fatalf("the first news is %q", first)
	}
	var wg sync.WaitGroup
	for i, s := range []*Store{one, two} {
		wg.Go(func() {
			for j := range 25 {
				if _, err := s.Enqueue(t.Context(), "bravo", func(serial int64) (store.Message, error) {
					return store.Message{ID: fmt.Sprint(serial), Payload: []byte("p")}, nil
				}); err != nil {
					t.Errorf("Enqueue: %v", err)
				}
				batch := []store.Object{{ID: fmt.Sprint(i, j), Type: "x", Raw: []byte("x")}, {ID: fmt.Sprint("both", j), Type: "y", Raw: []byte("x")}}
				if _, err := s.PutObjects(t.Context(), "c", batch, ""); err != nil {
					t.Errorf("PutObjects: %v", err)
				}
			}
		})
	}
	wg.Wait()
	pending, err := one.Pending(t.Context(), "bravo", store.MaxMessages)
	if err != nil || len(pending) != 50 || pending[49].Serial != 50 {
		t.Errorf("%d messages, %v", len(pending), err)
	}
	if n, err := two.CountObjects(t.Context(), "c"); err != nil || n != 75 {
		t.Errorf("%d objects, %v", n, err)
	}
	news := map[string]bool{}
	for !news[store.HotlineTopic("bravo")] || !news[store.ObjectsTopic] {
		news[<-heard] = true
	}
}

// TestPlans keeps the promise that a list costs what it returns: no statement of a
// page scans a table or sorts one.
func TestPlans(t *testing.T) {
	s := open(t)
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
		"without content":       {Limit: 9, NoContent: true},
		"last of newest":        {Limit: 9, Versions: store.Versions{Last: true}, NewestSpec: true},
		"every way of a spec":   {Limit: 9, Versions: every, Specs: []string{"2.1"}, Types: []string{"x"}},
		"by id":                 {Limit: 9, IDs: []string{"x--1"}},
		"by id, last of newest": {Limit: 9, IDs: []string{"x--1"}, Versions: store.Versions{Last: true}, NewestSpec: true},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.look(t.Context(), s.bulk, "explaining", func(ctx context.Context, tx pgx.Tx) error {
				list, err := s.selectObjects(ctx, tx, "c", q)
				if err != nil {
					return err
				}
				view, err := s.selectView(ctx, tx, v, []string{"c"}, q)
				if err != nil {
					return err
				}
				for _, c := range []*selection{list, view} {
					plan, err := explainPlan(ctx, tx, c.sql(), c.args...)
					if err != nil {
						return err
					}
					if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") && len(q.IDs) == 0 {
						t.Errorf("%s:\n%s", c.sql(), plan)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	err = s.look(t.Context(), s.bulk, "explaining", func(ctx context.Context, tx pgx.Tx) error {
		for _, q := range []store.MessageQuery{{Limit: 9}, {Limit: 9, Peer: "b"}, {Limit: 9, Direction: store.In}, {Limit: 9, Direction: store.Out, Peer: "b", Before: 9}} {
			c := listMessages(q)
			plan, err := explainPlan(ctx, tx, c.sql(), c.args...)
			if err != nil {
				return err
			}
			if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
				t.Errorf("%s:\n%s", c.sql(), plan)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func explainPlan(ctx context.Context, tx pgx.Tx, statement string, args ...any) (string, error) {
	rows, err := tx.Query(ctx, "EXPLAIN "+statement, args...)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}
