// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// byHand carries what waits from one nation to the other, and the answers back.
func byHand(t *testing.T, from, to *nation) {
	t.Helper()
	var answers [][]byte
	_, err := from.engine().ComposeQueued(t.Context(), to.trustDomain, func(request []byte, _ []store.Message) error {
		answer, err := to.engine().Receive(t.Context(), from.trustDomain, request)
		answers = append(answers, answer)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range answers {
		if err := from.engine().Settle(t.Context(), to.trustDomain, answer); err != nil {
			t.Error(err)
		}
	}
}

// A restart, or another replica, knows nothing of what the other side was seen to hold.
func TestACourierOfARelayThatWasRestartedIsTaken(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		w := newWorld(t)
		for range 3 {
			w.alfa.send(request("", "before"))
			w.bravo.send(request("", "before"))
			w.quiet()
		}
		for range 30 { // answers of alfa, of which nothing tells that they arrived
			w.bravo.send(request("", "more"))
			synctest.Wait()
		}
		w.quiet()
		w.faults(func(s step) outcome {
			if s.what == "request" {
				return fails
			}
			return works
		})
		for range 40 {
			w.alfa.send(request("", "by hand"))
			synctest.Wait()
		}
		w.alfa.kill()
		w.bravo.kill()
		w.alfa.start()
		w.bravo.start()
		byHand(t, w.alfa, w.bravo)
		if got := len(w.bravo.list(store.In)); got != 43 {
			t.Errorf("bravo has %d messages, want 43", got)
		}
		for _, m := range w.alfa.list(store.Out) {
			if m.State == "Queued" {
				t.Errorf("%s is queued", m.Subject)
			}
		}
	})
}

func TestWhatThePeerHoldsIsNotedAgainAfterATransactionThatFailed(t *testing.T) {
	bubble(t, "and_not_after_one_that_did_not", func(t *testing.T, w *world) {
		w.quiet()
		var v leaving
		v.confirm(tlog.Tree{N: 7})
		for _, failure := range []error{errDead, nil} {
			err := w.alfa.life().store.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) error {
				if err := v.note(tx); err != nil {
					return err
				}
				return failure
			})
			if failure == nil && err != nil {
				t.Fatal(err)
			}
		}
		if err := w.alfa.life().store.ReadLine(t.Context(), "bravo.example", func(r store.LineReader) error {
			if held, err := r.PeerHeld(); err != nil || held != 7 || v.noted != 7 {
				t.Errorf("%d entries are stored, %d noted, %v; want 7", held, v.noted, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// What waits may get other serials, and our journal looks like another history until it has said that it goes on.
func TestNothingLeavesByHandWhileARecoveryIsOpen(t *testing.T) {
	bubble(t, "also_after_a_restart_that_does_not_know_of_it_yet", func(t *testing.T, w *world) {
		w.setBack(2, 3)
		crashed := w.dieAfter(0) // that it was begun is stored
		for !crashed.Load() {
			<-time.After(time.Second)
		}
		w.faults(cut)
		w.alfa.revive()
		none := func([]byte, []store.Message) error {
			t.Error("a batch leaves")
			return nil
		}
		if _, err := w.alfa.engine().ComposeQueued(t.Context(), "bravo.example", none); !errors.Is(err, errRolledBack) {
			t.Errorf("composing for a courier: %v", err)
		}
		w.faults(nil)
		w.pass(5)
		w.recovered(t, 2+3+3)
		byHand(t, w.alfa, w.bravo)
	})
}

func TestARecoveryThatBeginsWhileABatchIsComposedForACourier(t *testing.T) {
	bubble(t, "keeps_it_from_leaving", func(t *testing.T, w *world) {
		w.faults(cut)
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		begun := false
		w.faults(func(s step) outcome {
			if s == (step{"alfa", "sign"}) && !begun { // it is being composed
				begun = true
				err := w.alfa.life().store.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) error {
					return tx.KeepRecovery(store.Recovery{Since: time.Now()})
				})
				if err != nil {
					t.Error(err)
				}
			}
			return cut(s)
		})
		_, err := w.alfa.engine().ComposeQueued(t.Context(), "bravo.example", func([]byte, []store.Message) error {
			t.Error("a batch leaves")
			return nil
		})
		if !errors.Is(err, errRolledBack) || !begun {
			t.Errorf("composing for a courier: %v, begun %v", err, begun)
		}
	})
}

func TestASetThatNewerOnesHaveOvertaken(t *testing.T) {
	bubble(t, "is_no_reason_to_doubt_the_peer_while_all_paths_are_down", func(t *testing.T, w *world) {
		w.faults(cut)
		f := w.forges()
		say := func(n int) int64 {
			p := payload("alfa.example", "bravo.example")
			p.ID, p.Serial = ulidFor(n/30, n%30), int64(n+1)
			return f.sayAfter(t, mustJSON(t, p))
		}
		older := f.batch(t, 0, say(0))
		newer := f.batch(t, 0, 0, say(1))
		for _, batch := range [][]byte{newer, older} {
			answer, err := w.bravo.engine().Receive(t.Context(), "alfa.example", batch)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.bravo.engine().NotStored(t.Context(), "alfa.example", batch, answer); err != nil {
				t.Error(err)
			}
		}
		<-time.After(2 * patience)
		if s := w.bravo.report().Journal; s.State != report.JournalIntact {
			t.Errorf("the journal is %+v", s)
		}
	})
}
