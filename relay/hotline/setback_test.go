// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// copied keeps a copy of a nation's database and returns what restores it while the relay
// runs, as an administrator of PostgreSQL may: each table gets the rows that it had.
func (n *nation) copied() (restore func()) {
	n.t.Helper()
	file := filepath.Join(n.t.TempDir(), "copy.db")
	n.sql("VACUUM INTO '" + file + "'")
	return func() {
		n.t.Helper()
		if _, err := os.Stat(file); err != nil {
			n.t.Fatal(err)
		}
		n.restoreFrom(file)
	}
}

func (n *nation) sql(statements ...string) {
	n.t.Helper()
	db, err := sql.Open("sqlite", n.path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			n.t.Fatalf("%s: %v", s, err)
		}
	}
}

// names in the schema of a type, and what made them.
func (n *nation) names(kind string) map[string]string {
	n.t.Helper()
	db, err := sql.Open("sqlite", n.path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), "SELECT name, sql FROM sqlite_schema WHERE type = ? AND name NOT LIKE 'sqlite_stat%'", kind)
	if err != nil {
		n.t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var name, made string
		if err := rows.Scan(&name, &made); err != nil {
			n.t.Fatal(err)
		}
		out[name] = made
	}
	if err := rows.Err(); err != nil {
		n.t.Fatal(err)
	}
	return out
}

func (n *nation) restoreFrom(file string) {
	n.t.Helper()
	triggers := n.names("trigger")
	all := []string{"ATTACH '" + file + "' AS kept", "BEGIN IMMEDIATE"}
	for name := range triggers {
		all = append(all, "DROP TRIGGER "+name)
	}
	for name := range n.names("table") {
		all = append(all, "DELETE FROM main."+name, "INSERT INTO main."+name+" SELECT * FROM kept."+name)
	}
	for _, made := range triggers {
		all = append(all, made)
	}
	n.sql(append(all, "COMMIT")...)
}

func TestADatabaseThatIsSetBackUnderARunningRelay(t *testing.T) {
	bubble(t, "is_named_by_what_was_written_and_gets_back_what_the_peer_holds", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		restore := w.alfa.copied()
		w.alfa.send(request(ulidFor(0, 1), "s1"))
		w.alfa.send(request(ulidFor(0, 2), "s2"))
		w.bravo.send(request(ulidFor(1, 0), "back"))
		w.quiet()
		w.faults(cut)
		restore()
		if s := w.alfa.state(); s != report.JournalRolledBack {
			t.Errorf("before the peer was asked the journal is %s", s)
		}
		w.alfa.send(request(ulidFor(0, 3), "s3"))
		w.faults(nil)
		w.quiet()
		w.alfa.proven(w.bravo, 4)
		if got := w.bravo.subjects(store.In); got != "s0 s1 s2 s3" {
			t.Errorf("bravo holds %q", got)
		}
		if got := w.alfa.subjects(store.In); got != "back" {
			t.Errorf("alfa holds %q", got)
		}
		if a, b := w.alfa.state(), w.bravo.state(); a != report.JournalRolledBack || b != report.PeerJournalRolledBack {
			t.Errorf("the journals are %s and %s", a, b)
		}
		w.alfa.send(request(ulidFor(0, 4), "s4"))
		w.bravo.send(request(ulidFor(1, 1), "again"))
		w.quiet()
		w.alfa.proven(w.bravo, 5)
		w.bravo.proven(w.alfa, 2)
		for _, n := range []*nation{w.alfa, w.bravo} {
			if c := n.verify(); c.Damage != nil {
				t.Errorf("damage at %s: %v", n.name, c.Damage)
			}
		}
	})
	bubble(t, "is_given_back_by_a_replica_that_did_not_take_the_last_messages_itself", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		restore := w.alfa.copied()
		taken := &w.bravo.engine().lineNamed("to-alfa").peerLog
		before := taken.largest()
		w.alfa.send(request(ulidFor(0, 1), "s1"))
		w.quiet()
		restore()
		// Another replica of bravo stored what came last: this one knows an older state.
		taken.mu.Lock()
		taken.held = before
		taken.mu.Unlock()
		w.alfa.send(request(ulidFor(0, 2), "s2"))
		w.quiet()
		if a, b := w.alfa.report().Journal, w.bravo.state(); a.State != report.JournalRolledBack || b != report.PeerJournalRolledBack || !strings.Contains(a.Message, "gave back") {
			t.Errorf("the journals are %+v and %s", a, b)
		}
		w.alfa.proven(w.bravo, 3)
	})
	bubble(t, "is_named_when_it_is_the_next_message_that_finds_it", func(t *testing.T, w *world) {
		w.faults(cut)
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		restore := w.alfa.copied()
		w.alfa.send(request(ulidFor(0, 1), "s1")) // nobody else has it
		restore()
		w.alfa.send(request(ulidFor(0, 2), "s2")) // as many entries as before
		w.faults(nil)
		w.quiet()
		if got := w.bravo.subjects(store.In); got != "s0 s2" {
			t.Errorf("bravo holds %q", got)
		}
		if j := w.alfa.report().Journal; j.State != report.JournalRolledBack {
			t.Errorf("the journal is %+v", j)
		}
		if c := w.alfa.verify(); c.Damage != nil {
			t.Errorf("damage: %v", c.Damage)
		}
	})
}
