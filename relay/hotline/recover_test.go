// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// backup stops a nation and returns what puts the present state of its disk back later.
func (n *nation) backup() (restore func()) {
	n.t.Helper()
	n.kill()
	raw, err := os.ReadFile(n.path)
	if err != nil {
		n.t.Fatal(err)
	}
	n.start()
	return func() {
		n.t.Helper()
		n.kill()
		for _, end := range []string{"-wal", "-shm"} {
			if err := os.Remove(n.path + end); err != nil && !os.IsNotExist(err) {
				n.t.Fatal(err)
			}
		}
		if err := os.WriteFile(n.path, raw, 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
}

// subjects of a direction, the oldest first.
func (n *nation) subjects(d store.Direction) string {
	var out []string
	for _, m := range n.list(d) {
		out = append([]string{m.Subject}, out...)
	}
	return strings.Join(out, " ")
}

func (n *nation) state() string { return n.report().Journal.State }

func TestARestoredBackup(t *testing.T) {
	bubble(t, "of_the_sender_gets_back_what_the_peer_holds_and_goes_on", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		restore := w.alfa.backup()
		w.alfa.send(request(ulidFor(0, 1), "s1"))
		w.alfa.send(request(ulidFor(0, 2), "s2"))
		w.bravo.send(request(ulidFor(1, 0), "back"))
		w.quiet()
		restore()
		w.faults(cut)
		w.alfa.start()
		// Before the link is up a message gets a serial that bravo knows with another one.
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
			t.Errorf("the journals are %s and %s: %+v, %+v", a, b, w.alfa.report().Journal, w.bravo.report().Journal)
		}
		// It goes on in both directions, over restarts.
		for range 2 {
			w.alfa.send(request("", "more"))
			w.bravo.send(request("", "more back"))
			w.quiet()
			w.alfa.kill()
			w.bravo.kill()
			w.alfa.start()
			w.bravo.start()
		}
		w.alfa.proven(w.bravo, 6)
		w.bravo.proven(w.alfa, 3)
		<-time.After(toldFor)
		if a, b := w.alfa.state(), w.bravo.state(); a != report.JournalIntact || b != report.JournalIntact {
			t.Errorf("a week later the journals are %s and %s", a, b)
		}
	})
	bubble(t, "of_the_receiver_shows_nothing_twice", func(t *testing.T, w *world) {
		restore := w.bravo.backup()
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.alfa.send(request(ulidFor(0, 1), "s1"))
		w.quiet()
		w.bravo.acknowledge(ulidFor(0, 0))
		w.quiet()
		restore()
		w.bravo.start()
		w.quiet()
		w.alfa.send(request(ulidFor(0, 2), "s2"))
		w.quiet()
		w.alfa.proven(w.bravo, 3)
		w.bravo.proven(w.alfa, 1)
		if got := w.bravo.subjects(store.In); got != "s0 s1 s2" {
			t.Errorf("bravo holds %q", got)
		}
		for _, m := range w.bravo.list(store.In) {
			if want := m.Subject == "s0"; (m.State == "Acknowledged") != want {
				t.Errorf("message %s is %s", m.Subject, m.State)
			}
		}
		if a, b := w.alfa.state(), w.bravo.state(); a != report.JournalIntact || b != report.JournalRolledBack { // bravo's journal is the same again
			t.Errorf("the journals are %s and %s", a, b)
		}
	})
	bubble(t, "takes_nothing_that_we_never_signed", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		// bravo says that it holds more of alfa's journal than alfa has, and cannot show it.
		err := w.bravo.life().store.ChangeLine(context.Background(), "alfa.example", func(tx store.LineTx) error {
			c, err := tx.PeerCheckpoint()
			if err != nil {
				return err
			}
			c.Size, c.Root = c.Size+5, store.Hash{1}
			return tx.KeepPeerCheckpoint(c)
		})
		if err != nil {
			t.Fatal(err)
		}
		w.bravo.kill()
		w.bravo.start()
		w.alfa.send(request(ulidFor(0, 1), "s1"))
		w.quiet()
		if j := w.alfa.report().Journal; j.State == report.JournalIntact {
			t.Errorf("alfa's journal is %+v", j)
		}
		if got := w.alfa.subjects(store.Out); got != "s0 s1" {
			t.Errorf("alfa holds %q", got)
		}
		if c := w.alfa.verify(); c.Damage != nil {
			t.Errorf("damage: %v", c.Damage)
		}
	})
}
