// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// restarted starts a nation anew.
func (n *nation) restarted() {
	n.t.Helper()
	n.kill()
	n.start()
}

func (n *nation) doubts() []desk.JournalDoubt {
	n.t.Helper()
	list, err := n.engine().JournalDoubts(context.Background(), n.hotline())
	if err != nil {
		n.t.Fatal(err)
	}
	return list.Doubts
}

func (n *nation) hotline() string { return n.config.Hotlines[0].Name }

// forkedFrom makes alfa's relay show bravo two histories of two entries each and more.
func forkedFrom(t *testing.T, w *world) (show func() string) {
	t.Helper()
	say := func(f *forger, n int) int64 {
		p := payload("alfa.example", "bravo.example")
		p.ID, p.Serial = ulidFor(n/30, n%30), int64(n+1)
		return f.sayAfter(t, mustJSON(t, p))
	}
	f, other := w.forges(), w.forges()
	post(t, w, alfaRelay, ContentType, f.batch(t, 0, say(f, 0), say(f, 1)))
	say(other, 5)
	say(other, 6)
	forked := other.batch(t, 2, say(other, 7))
	return func() string { return opened(t, w, post(t, w, alfaRelay, ContentType, forked)).State }
}

func TestAPeerWithTwoHistories(t *testing.T) {
	bubble(t, "is_named_with_both_checkpoints_until_somebody_settles_it", func(t *testing.T, w *world) {
		w.faults(cut)
		show := forkedFrom(t, w)
		for range 3 {
			if s := show(); s != wire.Forked {
				t.Fatalf("it is %s", s)
			}
			w.bravo.restarted()
			if s := w.bravo.state(); s != report.PeerJournalForked {
				t.Errorf("after a restart the journal is %s", s)
			}
		}
		list := w.bravo.doubts()
		if len(list) != 1 || list[0].Kind != store.DoubtForked || list[0].Held.Size != 2 || list[0].Shown.Size != 3 {
			t.Fatalf("the evidence is %+v", list)
		}
		for _, s := range []desk.PeerState{list[0].Held, list[0].Shown} {
			if !strings.HasPrefix(s.Checkpoint, journal.Origin("alfa.example", "bravo.example")) || !strings.Contains(s.Chain, "BEGIN CERTIFICATE") {
				t.Errorf("the state is %+v", s)
			}
		}
		settle := func(reason string) error {
			_, err := w.bravo.engine().SettleDoubts(context.Background(), w.bravo.hotline(), desk.SettleDoubtsRequest{Reason: reason})
			return err
		}
		if err := settle(" "); err == nil {
			t.Error("it was settled without a reason")
		}
		if err := settle("by telephone"); err != nil {
			t.Fatal(err)
		}
		if err := settle("again"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("settled once more: %v", err)
		}
		w.bravo.restarted()
		if s := w.bravo.state(); s != report.JournalIntact {
			t.Errorf("when it is settled the journal is %s", s)
		}
		<-time.After(time.Second)
		show()
		if s := w.bravo.state(); s != report.PeerJournalForked || len(w.bravo.doubts()) != 2 {
			t.Errorf("shown again the journal is %s: %+v", s, w.bravo.doubts())
		}
		acts, err := w.bravo.engine().ListActs(context.Background(), w.bravo.hotline(), "", 0)
		var names []string
		for _, a := range acts.Acts {
			names = append(names, a.Act)
		}
		if got := strings.Join(names, " "); err != nil || got != actPeerDoubted+" "+actDoubtSettled+" "+actPeerDoubted {
			t.Errorf("acts: %s, %v", got, err)
		}
	})
}

func TestAPeerThatShowsAnOlderJournalIsNamedOverARestart(t *testing.T) {
	bubble(t, "until_it_goes_on", func(t *testing.T, w *world) {
		w.faults(cut)
		say := func(f *forger, n int) int64 {
			p := payload("alfa.example", "bravo.example")
			p.ID, p.Serial = ulidFor(n/30, n%30), int64(n+1)
			return f.sayAfter(t, mustJSON(t, p))
		}
		f := w.forges()
		old := f.batch(t, 0, say(f, 0))
		newer := f.batch(t, 1, say(f, 1), say(f, 2))
		post(t, w, alfaRelay, ContentType, old)
		post(t, w, alfaRelay, ContentType, newer)
		w.bravo.restarted()
		for range 2 {
			if s := opened(t, w, post(t, w, alfaRelay, ContentType, old)).State; s != wire.Behind {
				t.Fatalf("it is %s", s)
			}
			<-time.After(patience)
		}
		post(t, w, alfaRelay, ContentType, old)
		w.bravo.restarted()
		if s := w.bravo.state(); s != report.PeerJournalRolledBack {
			t.Errorf("after a restart the journal is %s", s)
		}
		if s := opened(t, w, post(t, w, alfaRelay, ContentType, f.batch(t, 3, say(f, 3)))).State; s != wire.Continues {
			t.Fatalf("it is %s", s)
		}
		w.bravo.restarted()
		if s := w.bravo.state(); s != report.JournalIntact {
			t.Errorf("when it went on the journal is %s", s)
		}
	})
}

func TestAPeerThatSaysThatItWasSetBack(t *testing.T) {
	for name, earlier := range map[string]bool{
		"explains_the_other_history_of_the_state_that_it_leaves":         false,
		"does_not_settle_that_it_has_shown_two_histories_of_another_one": true,
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.alfa.send(request(ulidFor(0, 0), "s0"))
			w.quiet()
			restore := w.alfa.backup()
			if earlier {
				w.bravo.doubtsPeer()
			}
			w.alfa.send(request(ulidFor(0, 1), "s1"))
			w.quiet()
			if !earlier {
				w.bravo.doubtsPeer()
			}
			restore()
			w.faults(cut)
			w.alfa.start()
			w.alfa.send(request(ulidFor(0, 2), "s2"))
			w.faults(nil)
			w.quiet()
			w.bravo.restarted()
			want := report.PeerJournalRolledBack
			if earlier {
				want = report.PeerJournalForked
			}
			if list := w.bravo.doubts(); len(list) != 1 || list[0].SettledAt.IsZero() != earlier || w.bravo.state() != want {
				t.Errorf("bravo says %s, not %s: %+v", w.bravo.state(), want, list)
			}
			if !earlier {
				return
			}
			if _, err := w.bravo.engine().SettleDoubts(context.Background(), w.bravo.hotline(), desk.SettleDoubtsRequest{Reason: "by telephone"}); err != nil {
				t.Error(err)
			}
			if s := w.bravo.state(); s != report.PeerJournalRolledBack {
				t.Errorf("when a person has settled it bravo says %s", s)
			}
		})
	}
}

// doubtsPeer keeps that alfa has shown another history of what is held of it now.
func (n *nation) doubtsPeer() {
	n.t.Helper()
	err := n.life().store.ChangeLine(context.Background(), "alfa.example", func(tx store.LineTx) error {
		held, err := tx.PeerCheckpoint()
		if err != nil {
			return err
		}
		shown := held
		shown.Root = store.Hash{1}
		_, err = tx.KeepDoubt(store.Doubt{Kind: store.DoubtForked, At: time.Now(), Held: held, Shown: shown})
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func TestAJournalThatGoesOnWhereTakingThatFails(t *testing.T) {
	bubble(t, "is_taken_later_and_not_said_to_be_held_before", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		restore := w.alfa.backup()
		w.alfa.send(request(ulidFor(0, 1), "s1"))
		w.quiet()
		restore()
		w.faults(cut)
		w.alfa.start()
		w.alfa.send(request(ulidFor(0, 2), "s2"))
		fillDisk(w, step{"bravo", "Accept"}) // the note comes with s2, for which bravo has no room
		<-time.After(10 * time.Minute)
		w.bravo.send(request(ulidFor(1, 0), "back"))
		<-time.After(10 * time.Minute)
		w.faults(nil)
		w.quiet()
		w.alfa.proven(w.bravo, 3)
		w.bravo.proven(w.alfa, 1)
		if s := w.bravo.state(); s != report.PeerJournalRolledBack {
			t.Errorf("bravo says %s: %+v", s, w.bravo.doubts())
		}
	})
}
