// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// lostAnswered lets bravo, which stores a message of alfa, say so under a checkpoint of a later
// transaction that is not on its disk yet, and takes the power from it before it is: an officer there
// wrote b1, and had no answer yet. Reached: b1 itself came to alfa, too. Bravo runs again when it
// returns, and reaches nobody.
func (w *world) lostAnswered(t *testing.T, id string, reached bool) {
	t.Helper()
	w.pass(1) // else it is the answer to alfa's greeting that strikes, before s1 is written or sent
	struck := w.arm(crash{step{"alfa", "response"}, "alfa", fails, 0})
	r := inTalk(ulidFor(0, 1), "talk", "ROUTINE", "s1")
	r.Hotline = w.alfa.hotline()
	if _, _, err := w.alfa.engine().Send(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for !struck.Load() {
		<-time.After(time.Millisecond)
	}
	w.faults(cut)
	restore := w.bravo.backup() // what is on its disk when the power is lost: s1, for which alfa has no receipt
	w.bravo.send(inTalk(id, "talk", "ROUTINE", "b1"))
	shown := w.bravo.newest()
	w.faults(func(s step) outcome {
		if s == (step{"bravo", "request"}) && !reached {
			return fails
		}
		return works
	})
	w.quiet()
	m, came := w.alfa.list(store.Out)[0], w.alfa.subjects(store.In) == "b1"
	if m.Subject != "s1" || m.State != "Stored" || w.alfa.heldOfPeer().Size < shown.Size || came != reached {
		t.Fatalf("the test needs a receipt for s1 under a checkpoint of bravo of %d entries: %+v, alfa holds %d; b1 arrived: %v", shown.Size, m, w.alfa.heldOfPeer().Size, came)
	}
	w.faults(cut)
	restore()
	w.bravo.start()
	<-time.After(time.Second) // else what is repeated is the same, to the byte
}

// newest is the newest checkpoint of a nation's journal.
func (n *nation) newest() (c store.Checkpoint) {
	n.t.Helper()
	n.readLine(func(r store.LineReader) (err error) {
		c, _, err = r.Journal()
		return err
	})
	return c
}

// heldOfPeer is what a nation holds of the other's journal.
func (n *nation) heldOfPeer() (c store.Checkpoint) {
	n.t.Helper()
	n.readLine(func(r store.LineReader) (err error) {
		c, err = r.PeerCheckpoint()
		return err
	})
	return c
}

func (n *nation) readLine(read func(store.LineReader) error) {
	n.t.Helper()
	if err := n.life().store.ReadLine(n.t.Context(), n.config.Peers[0].TrustDomain, read); err != nil {
		n.t.Fatal(err)
	}
}

func TestAPowerLossBetweenAnAnswerAndTheSyncOfWhatItShows(t *testing.T) {
	for name, tt := range map[string]struct {
		reached bool     // b1 came to alfa before the power was lost
		before  []string // by bravo's officers before alfa is reached
		after   []string // when it was
		want    string   // what alfa holds of bravo at the end
		// told is what alfa says of bravo's journal, also where bravo has shown as many entries as
		// it had before, and others: it says which state it left.
		told string
	}{
		"loses_only_what_nobody_was_told":                        {false, nil, nil, "", report.PeerJournalRolledBack},
		"and_the_officer_repeats_it_when_the_line_is_back":       {false, nil, []string{"b1"}, "b1", report.PeerJournalRolledBack},
		"and_the_officer_repeats_the_message":                    {false, []string{"b1"}, nil, "b1", report.PeerJournalRolledBack},
		"and_another_officer_is_faster":                          {false, []string{"b2"}, []string{"b1"}, "b2 b1", report.PeerJournalRolledBack},
		"and_more_is_written_than_was_lost_before_it_is_reached": {false, []string{"b2", "b3", "b1"}, nil, "b2 b3 b1", report.PeerJournalRolledBack},
		"gives_back_what_came_meanwhile":                         {true, nil, nil, "b1", report.JournalIntact},
		"gives_back_what_the_officer_repeats":                    {true, []string{"b1"}, nil, "b1", report.PeerJournalRolledBack},
		"gives_back_what_the_officer_repeats_later":              {true, nil, []string{"b1", "b2"}, "b1 b2", report.JournalIntact},
		"gives_it_back_before_what_another_officer_wrote":        {true, []string{"b2"}, nil, "b1 b2", report.PeerJournalRolledBack},
		"gives_it_back_before_what_another_officer_repeats":      {true, []string{"b2", "b1"}, []string{"b3"}, "b1 b2 b3", report.PeerJournalRolledBack},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			ids := map[string]string{"b1": ulidFor(1, 1), "b2": ulidFor(1, 2), "b3": ulidFor(1, 3)}
			write := func(subjects []string) {
				for _, s := range subjects {
					w.bravo.send(inTalk(ids[s], "talk", "ROUTINE", s))
				}
			}
			w.lostAnswered(t, ids["b1"], tt.reached)
			write(tt.before)
			w.faults(nil)
			w.quiet()
			ours, theirs := w.bravo.report().Journal, w.alfa.report().Journal
			if ours.State != report.JournalRolledBack || theirs.State != tt.told {
				t.Errorf("bravo says %+v, alfa %+v", ours, theirs)
			}
			write(tt.after)
			w.alfa.send(inTalk("", "talk", "ROUTINE", "s2"))
			w.quiet()
			if to, from := w.alfa.subjects(store.In), w.bravo.subjects(store.In); to != tt.want || from != "s1 s2" {
				t.Errorf("alfa holds %q, want %q; bravo holds %q", to, tt.want, from)
			}
			w.alfa.proven(w.bravo, 2)
			w.bravo.proven(w.alfa, len(strings.Fields(tt.want)))
			for _, n := range []*nation{w.alfa, w.bravo} {
				if c := n.verify(); c.State != desk.JournalWhole {
					t.Errorf("the journal of %s is %s: %v", n.name, c.State, c.Damage)
				}
			}
		})
	}
}
