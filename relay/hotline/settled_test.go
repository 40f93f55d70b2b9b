// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// meanwhileStore lets something happen once, while somebody reads a line: after what that read shows has been
// taken, and before it is judged.
type meanwhileStore struct {
	Store
	happens func()
}

func (s *meanwhileStore) ReadLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	return s.Store.ReadLine(ctx, peer, func(r store.LineReader) error { return read(meanwhileReader{r, s}) })
}

type meanwhileReader struct {
	store.LineReader
	s *meanwhileStore
}

// Recovery implements store.RecoveryReader.
func (r meanwhileReader) Recovery() (store.Recovery, bool, error) {
	got, open, err := r.LineReader.Recovery()
	if f := r.s.happens; f != nil {
		r.s.happens = nil
		f()
	}
	return got, open, err
}

func TestWhatAReplicaFindsWhileItLooksWhetherAnotherHasSettledSomething(t *testing.T) {
	bubble(t, "that_the_peer_shows_an_older_journal_once_more_is_not_settled_by_what_was_read_before", func(t *testing.T, w *world) {
		w.faults(cut)
		at := w.bravo.replica()
		meanwhile := &meanwhileStore{Store: at.cfg.Store}
		at.cfg.Store = meanwhile
		f := w.forges()
		w.give(t, at, f.batch(t, 0, f.talk(t, 0)))
		old := f.batch(t, 1, f.talk(t, 1)) // nothing that is taken leads on from it
		w.give(t, at, f.batch(t, 1, 1, f.talk(t, 2)))
		w.give(t, at, old)
		meanwhile.happens = func() {
			w.give(t, at, f.batch(t, 3, f.talk(t, 3)))
			w.give(t, at, old)
		}
		if s := stateAt(t, at); s != report.JournalIntact {
			t.Errorf("before it lasts the journal is %s", s)
		}
		<-time.After(patience)
		if s := stateAt(t, at); s != report.PeerJournalRolledBack {
			t.Errorf("while the peer shows an older one the journal is %s", s)
		}
	})
	bubble(t, "that_our_database_was_set_back_is_not_settled_before_the_one_with_the_line_has_recovered", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		w.faults(cut)
		at := w.alfa.replica()
		meanwhile := &meanwhileStore{Store: at.cfg.Store}
		at.cfg.Store = meanwhile
		l := at.lineTo("bravo.example")
		l.suspect()
		meanwhile.happens = func() {
			if err := l.handOver(t.Context()); err != nil {
				t.Error(err)
			}
		}
		for range 2 {
			if s := stateAt(t, at); s != report.JournalRolledBack || !w.alfa.recovery("bravo.example") {
				t.Errorf("while a recovery is begun the journal is %s", s)
			}
		}
	})
}
