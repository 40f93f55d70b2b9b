// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

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
}

func TestARestoredBackupTakesNothing(t *testing.T) {
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

// inTalk is a message of a conversation.
func inTalk(id, talk, precedence, subject string) desk.SendRequest {
	r := request(id, subject)
	r.Conversation, r.Precedence = talk, precedence
	return r
}

// inOrder tells whether the messages of each conversation have serials in the order in which
// their senders numbered them: by their subjects.
func (n *nation) inOrder(from *nation) {
	n.t.Helper()
	last := map[string]string{}
	list := n.list(store.In)
	slices.Reverse(list)
	for _, m := range list {
		if m.Subject <= last[m.Conversation] {
			n.t.Errorf("in %s %s comes after %s", m.Conversation, m.Subject, last[m.Conversation])
		}
		last[m.Conversation] = m.Subject
	}
	if sent := len(from.list(store.Out)); sent != len(list) {
		n.t.Errorf("%d messages arrived of %d", len(list), sent)
	}
}

func TestWhatIsWrittenAfterARestoreStaysInOrder(t *testing.T) {
	for name, tt := range map[string]struct{ lost, written int }{
		"when_more_was_lost":             {30, 8},
		"when_more_was_written":          {5, 40},
		"when_as_much_was_written":       {5, 5},
		"when_it_comes_in_several_pages": {2*copiesAtOnce + 7, 20},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.alfa.send(inTalk("", "talk-0", "ROUTINE", "0000"))
			w.quiet()
			restore := w.alfa.backup()
			n := 0
			send := func(precedence string) {
				n++
				w.alfa.send(inTalk("", fmt.Sprintf("talk-%d", n%4), precedence, fmt.Sprintf("%04d", n)))
			}
			for range tt.lost {
				send("ROUTINE")
			}
			w.quiet()
			restore()
			w.faults(cut)
			w.alfa.start()
			for i := range tt.written {
				send([]string{"ROUTINE", "PRIORITY", "ROUTINE", "FLASH", "IMMEDIATE"}[i%5])
			}
			w.faults(nil)
			w.quiet()
			w.bravo.inOrder(w.alfa)
			w.alfa.proven(w.bravo, 1+tt.lost+tt.written)
			if c := w.alfa.verify(); c.State != desk.JournalWhole {
				t.Errorf("the journal is %s: %v", c.State, c.Damage)
			}
			if state := w.bravo.state(); state != report.PeerJournalRolledBack {
				t.Errorf("bravo says %s", state)
			}
			if c, err := w.bravo.life().store.CountMessages(t.Context(), "alfa.example"); err != nil || c.Gaps != 0 {
				t.Errorf("%d serials are missing, %v", c.Gaps, err)
			}
		})
	}
}

func TestAMessageWrittenAgainUnderItsID(t *testing.T) {
	for name, tt := range map[string]struct {
		first, second, want string
	}{
		"with_the_same_content_is_the_one_that_was_sent":      {"same", "same", "s0 same other after"},
		"with_another_content_is_sent_under_an_id_of_its_own": {"before", "changed", "s0 before other after changed"},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.alfa.send(inTalk(ulidFor(0, 0), "talk", "ROUTINE", "s0"))
			w.quiet()
			restore := w.alfa.backup()
			w.alfa.send(inTalk(ulidFor(0, 1), "talk", "ROUTINE", tt.first))
			w.alfa.send(inTalk(ulidFor(0, 2), "talk", "ROUTINE", "other"))
			w.quiet()
			restore()
			w.faults(cut)
			w.alfa.start()
			<-time.After(time.Hour)
			w.alfa.send(inTalk(ulidFor(0, 1), "talk", "ROUTINE", tt.second))
			w.alfa.send(inTalk("", "talk", "ROUTINE", "after"))
			w.faults(nil)
			w.quiet()
			if got := w.bravo.subjects(store.In); got != tt.want {
				t.Errorf("bravo holds %q, want %q", got, tt.want)
			}
			if got, want := len(w.alfa.list(store.Out)), len(strings.Fields(tt.want)); got != want {
				t.Errorf("alfa holds %d messages, want %d", got, want)
			}
			if r := w.alfa.report(); r.Queued != 0 || r.Error != "" {
				t.Errorf("the report is %+v", r)
			}
			if c := w.alfa.verify(); c.State != desk.JournalWhole {
				t.Errorf("the journal is %s: %v", c.State, c.Damage)
			}
		})
	}
}

func TestTheQueueGoesOnWhenThePeerHasRecovered(t *testing.T) {
	bubble(t, "without_the_rest_of_its_pause", func(t *testing.T, w *world) {
		restore := w.bravo.backup()
		w.alfa.send(request("", "s0"))
		w.bravo.send(request("", "back"))
		w.quiet()
		restore()
		w.faults(func(s step) outcome { // bravo learns of it, and cannot recover for two minutes
			if s.nation == "bravo" && s.what == "request" {
				return fails
			}
			return works
		})
		w.bravo.start()
		w.alfa.send(request("", "s1"))
		<-time.After(2 * time.Minute)
		if got := w.bravo.subjects(store.In); got != "" {
			t.Fatalf("bravo holds %q before it recovered", got)
		}
		w.faults(nil)
		w.bravo.engine().Wake("alfa.example")
		<-time.After(time.Second)
		if got := w.bravo.subjects(store.In); got != "s0 s1" {
			t.Errorf("a second later bravo holds %q", got)
		}
	})
}

func TestMessagesWithoutProofsDoNotEndWhatIsGivenBack(t *testing.T) {
	bubble(t, "a_whole_page_of_them", func(t *testing.T, w *world) {
		restore := w.alfa.backup()
		for range copiesAtOnce + 1 {
			w.alfa.send(request("", "old"))
		}
		w.quiet()
		w.alfa.send(request("", "new"))
		w.quiet()
		w.bravo.tamper("UPDATE messages SET proof = NULL WHERE serial <= ?", copiesAtOnce)
		restore()
		w.alfa.start()
		w.quiet()
		if got := w.alfa.subjects(store.Out); got != "old new" {
			t.Errorf("alfa holds %q", got)
		}
	})
}

func TestAPeerThatGivesBackWhatWasNotAskedFor(t *testing.T) {
	bubble(t, "is_not_believed", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.alfa.send(request(ulidFor(0, 1), "s1"))
		w.bravo.send(request(ulidFor(1, 0), "back"))
		w.quiet()
		l := w.alfa.engine().lineTo("bravo.example")
		given := func(want wire.Want) *wire.Opened {
			o, err := l.ask(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		ours, theirs := given(wire.Want{Ours: 0, Theirs: -1}), given(wire.Want{Ours: 0, Theirs: 0})
		if len(ours.Copies) != 2 || len(theirs.Copies) != 1 {
			t.Fatalf("it gives back %d and %d", len(ours.Copies), len(theirs.Copies))
		}
		swapped := *ours
		swapped.Copies = []wire.Copy{ours.Copies[1], ours.Copies[0]}
		mixed := *ours
		mixed.Copies = []wire.Copy{{
			Message: ours.Copies[0].Message, MessageProof: ours.Copies[0].MessageProof, MessageChain: ours.Copies[0].MessageChain,
			Receipt: ours.Copies[1].Receipt, ReceiptProof: ours.Copies[1].ReceiptProof, ReceiptChain: ours.Copies[1].ReceiptChain,
		}}
		for name, tt := range map[string]struct {
			o    *wire.Opened
			want wire.Want
		}{
			"again_what_we_have_had":       {ours, wire.Want{Ours: 1, Theirs: -1}},
			"not_in_order":                 {&swapped, wire.Want{Ours: 0, Theirs: -1}},
			"ours_where_theirs_are_asked":  {ours, wire.Want{Ours: 0, Theirs: 0}},
			"theirs_where_ours_are_asked":  {theirs, wire.Want{Ours: 0, Theirs: -1}},
			"a_receipt_of_another_message": {&mixed, wire.Want{Ours: 0, Theirs: -1}},
		} {
			if _, err := l.takeBack(t.Context(), tt.o, tt.want, &room{}, &store.Recovery{}); err == nil {
				t.Errorf("%s: it was taken", name)
			}
		}
	})
}
