// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// replica is another relay of a nation over the same store. It has no line before somebody lets it run.
func (n *nation) replica() *Engine {
	n.t.Helper()
	l := n.life()
	e, err := New(Config{
		Store:    &faultyStore{Store: l.store, nation: n, life: l},
		Identity: func() Identity { return &faultyIdentity{Identity: n.who(), nation: n, life: l} },
		Client:   func(string) *http.Client { return &http.Client{Transport: &cable{from: n, life: l}} },
		Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		n.t.Fatal(err)
	}
	e.Apply(n.config)
	return e
}

// give brings a batch of alfa to one replica of bravo, and returns its answer. What was begun before has come to
// rest by then: a replica forgets what it remembers of the peer's journal as it takes the line over, which on a busy
// machine was some batches after its start.
func (w *world) give(t *testing.T, to *Engine, body []byte) *wire.Opened {
	t.Helper()
	synctest.Wait()
	r := httptest.NewRequestWithContext(access.WithPeer(t.Context(), alfaRelay), http.MethodPost, Path, bytes.NewReader(body))
	r.Header.Set("Content-Type", ContentType)
	recorder := httptest.NewRecorder()
	to.Handler().ServeHTTP(recorder, r)
	return opened(t, w, recorder)
}

// stateAt is how a replica says that the journals of its only hotline stand.
func stateAt(t *testing.T, e *Engine) string {
	t.Helper()
	hotlines, err := e.ReportHotlines(t.Context())
	if err != nil || len(hotlines) != 1 {
		t.Fatalf("%v, %v", hotlines, err)
	}
	return hotlines[0].Journal.State
}

// recovery is the one of a line that was begun and not finished.
func (n *nation) recovery(peer string) (open bool) {
	n.t.Helper()
	if err := n.life().store.ReadLine(n.t.Context(), peer, func(r store.LineReader) (err error) {
		_, open, err = r.Recovery()
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return open
}

// talk enters the next message of alfa and returns its index.
func (f *forger) talk(t *testing.T, n int) int64 {
	t.Helper()
	p := payload("alfa.example", "bravo.example")
	p.ID, p.Serial = ulidFor(n/30, n%30), int64(n+1)
	return f.sayAfter(t, mustJSON(t, p))
}

// fork is another log that has the same entries up to now.
func (f *forger) fork() *forger {
	other := *f
	other.hashes, other.kinds, other.bodies = slices.Clone(f.hashes), slices.Clone(f.kinds), slices.Clone(f.bodies)
	return &other
}

// leaves enters the note that this log goes on and another state is left.
func (f *forger) leaves(t *testing.T, left tlog.Tree) int64 {
	t.Helper()
	return f.say(t, journal.Note, mustJSON(t, continuation{
		Version: 1, Note: noteContinued, At: time.Now().UTC(), OldSize: left.N, OldRoot: base64.StdEncoding.EncodeToString(left.Hash[:]),
	}))
}

func TestAReplicaThatDidNotSeeThePeersJournalBreak(t *testing.T) {
	bubble(t, "tells_and_compares_by_what_the_other_one_has_stored", func(t *testing.T, w *world) {
		w.faults(cut)
		saw, other := w.bravo.engine(), w.bravo.replica()
		f := w.forges()
		first := f.talk(t, 0)
		w.give(t, other, f.batch(t, 0, first))
		restored := f.fork()
		var old []byte
		for n := 1; n < 6; n++ {
			from := f.tree.N
			body := f.batch(t, from, f.talk(t, n))
			if w.give(t, other, body); n == 1 {
				old = body
			}
		}
		note := restored.leaves(t, f.tree)
		if s := w.give(t, saw, restored.batch(t, 1, note)).State; s != wire.Continues {
			t.Fatalf("the note is %s", s)
		}
		o := w.give(t, other, restored.batch(t, 2, restored.talk(t, 7)))
		if o.State != wire.Continues || o.Held.Tree() != restored.tree {
			t.Errorf("it is %s, and the other replica says that it holds %+v; want %+v", o.State, o.Held.Tree(), restored.tree)
		}
		if s := w.give(t, other, old).State; s == wire.Continues {
			t.Error("a batch of the history that was left is taken by the other replica")
		}
	})
}

func TestABatchFromBeforeARestoreOfThePeerThatComesLate(t *testing.T) {
	for name, replica := range map[string]bool{"is_no_second_history_for_who_took_the_note": false, "nor_for_another_replica": true} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.faults(cut)
			at := w.bravo.engine()
			f := w.forges()
			w.give(t, at, f.batch(t, 0, f.talk(t, 0)))
			restored, third := f.fork(), f.fork()
			var early []byte
			for n := 1; n < 4; n++ {
				from := f.tree.N
				body := f.batch(t, from, f.talk(t, n))
				if n < 3 {
					early = body
				}
				w.give(t, at, body)
			}
			left := f.tree
			late := f.fork()
			lateBody := late.batch(t, left.N, late.talk(t, 8), late.talk(t, 9))
			w.give(t, at, restored.batch(t, 1, restored.leaves(t, left)))
			if s := w.give(t, at, early).State; s != wire.Behind {
				t.Errorf("one that was overtaken in the history that was left is %s", s)
			}
			w.give(t, at, restored.batch(t, 2, restored.talk(t, 5)))
			w.give(t, at, restored.batch(t, 3, restored.talk(t, 6)))
			if replica {
				at = w.bravo.replica()
			}
			if s := w.give(t, at, lateBody).State; s != wire.Behind {
				t.Errorf("one that goes on where the peer has left is %s", s)
			}
			if s, list := stateAt(t, at), w.bravo.doubts(); s != report.PeerJournalRolledBack || len(list) != 0 {
				t.Errorf("the journal is %s: %+v", s, list)
			}
			for n := range 3 {
				third.talk(t, 10+n)
			}
			if s := w.give(t, at, third.batch(t, restored.tree.N, third.talk(t, 15))).State; s != wire.Forked || len(w.bravo.doubts()) != 1 {
				t.Errorf("a third history is %s: %+v", s, w.bravo.doubts())
			}
		})
	}
}

func TestAnAnswerThatWasAskedForBeforeAnotherReplicaTookANote(t *testing.T) {
	bubble(t, "is_no_second_history", func(t *testing.T, w *world) {
		w.faults(cut)
		saw, other := w.bravo.engine(), w.bravo.replica()
		f := w.forges()
		w.give(t, other, f.batch(t, 0, f.talk(t, 0)))
		restored, l := f.fork(), other.lineTo("alfa.example")
		before := l.asking()
		f.talk(t, 1)
		answer := f.batch(t, 2, f.talk(t, 2))
		w.give(t, saw, f.batch(t, 1, f.talk(t, 3), f.talk(t, 4)))
		if s := w.give(t, saw, restored.batch(t, 1, restored.leaves(t, f.tree))).State; s != wire.Continues {
			t.Fatalf("the note is %s", s)
		}
		if outcome, err := l.settleAnswer(t.Context(), before, answer, nil, map[string]error{}); outcome != retry || err != nil {
			t.Errorf("the answer is settled as %d, %v", outcome, err)
		}
		if list := w.bravo.doubts(); len(list) != 0 {
			t.Errorf("the peer is doubted: %+v", list)
		}
		if outcome, err := l.settleAnswer(t.Context(), l.asking(), answer, nil, map[string]error{}); outcome != retry || err == nil || len(w.bravo.doubts()) != 1 {
			t.Errorf("the same as the answer to what was asked since: %d, %v, %+v", outcome, err, w.bravo.doubts())
		}
	})
}

func TestWhatAReplicaFoundIsForgottenOnceAnotherHasSettledIt(t *testing.T) {
	bubble(t, "that_the_peer_shows_an_older_journal", func(t *testing.T, w *world) {
		w.faults(cut)
		saw, other := w.bravo.engine(), w.bravo.replica()
		f := w.forges()
		old := f.batch(t, 0, f.talk(t, 0))
		w.give(t, saw, old)
		w.give(t, saw, f.batch(t, 1, f.talk(t, 1), f.talk(t, 2)))
		w.give(t, other, old)
		<-time.After(patience)
		if s := stateAt(t, other); s != report.PeerJournalRolledBack {
			t.Errorf("while the peer shows an older one the journal is %s", s)
		}
		w.give(t, saw, f.batch(t, 3, f.talk(t, 3)))
		if s := stateAt(t, other); s != report.JournalIntact {
			t.Errorf("when it went on elsewhere the journal is %s", s)
		}
	})
	bubble(t, "that_our_database_was_set_back_which_the_one_with_the_line_learns", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		restore := w.alfa.backup()
		w.alfa.send(request(ulidFor(0, 1), "s1"))
		w.quiet()
		restore()
		w.faults(cut)
		w.alfa.start()
		other := w.alfa.replica()
		w.bravo.send(request(ulidFor(1, 0), "back"))
		carried(t, w.bravo, other)
		if !w.alfa.recovery("bravo.example") {
			t.Fatal("no recovery is begun")
		}
		w.alfa.engine().Recall("bravo.example")
		w.faults(nil)
		w.quiet()
		w.alfa.proven(w.bravo, 2)
		for _, e := range []*Engine{w.alfa.engine(), other} {
			hotlines, err := e.ReportHotlines(t.Context())
			if err != nil || !strings.Contains(hotlines[0].Journal.Message, "gave back") {
				t.Errorf("%+v, %v", hotlines, err)
			}
		}
	})
}

func TestWhatAReplicaDidWhileItHadTheLineIsForgotten(t *testing.T) {
	bubble(t, "that_it_handed_over_a_recovery_which_it_then_did_itself", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		l := w.alfa.replica().lineTo("bravo.example")
		handOver := func() {
			t.Helper()
			l.suspect()
			if err := l.handOver(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !w.alfa.recovery("bravo.example") {
				t.Error("no recovery is begun")
			}
		}
		handOver()
		l.takeOver()
		if err := l.recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.letGo()
		handOver()
	})
	bubble(t, "that_the_peer_knows_how_our_journal_goes_on", func(t *testing.T, w *world) {
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		w.quiet()
		w.faults(cut)
		other := w.alfa.replica()
		w.bravo.send(request(ulidFor(1, 0), "one"))
		carried(t, w.bravo, other)
		left := tlog.Tree{N: 9, Hash: tlog.Hash{1}}
		if err := w.alfa.engine().lineTo("bravo.example").goOn(t.Context(), left, continuation{Version: 1, Note: noteContinued}, false); err != nil {
			t.Fatal(err)
		}
		w.bravo.send(request(ulidFor(1, 1), "two"))
		for _, answer := range carried(t, w.bravo, other) {
			b, err := wire.Decode(answer)
			if err != nil || !slices.ContainsFunc(b.Entries, func(e wire.Entry) bool { return journal.Kind(e.Kind) == journal.Note }) {
				t.Errorf("the answer does not say that the journal goes on: %+v, %v", b, err)
			}
		}
	})
	bubble(t, "why_attempts_failed_while_it_had_the_line", func(t *testing.T, w *world) {
		w.faults(cut)
		w.alfa.send(request(ulidFor(0, 0), "s0"))
		other := w.alfa.replica()
		ctx, lose := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- other.Run(ctx) }()
		<-time.After(time.Minute)
		look := func() (failure string, series int) {
			hotlines, err := other.ReportHotlines(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return hotlines[0].Error, testutil.CollectAndCount(other.metrics.waiting)
		}
		if failure, series := look(); failure == "" || series != 1 {
			t.Errorf("with the line: %q, %d", failure, series)
		}
		lose()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if failure, series := look(); failure != "" || series != 0 {
			t.Errorf("without the line: %q, %d", failure, series)
		}
	})
}

// carried brings what a nation has queued to one replica of the other, and returns the answers.
func carried(t *testing.T, from *nation, to *Engine) (answers [][]byte) {
	t.Helper()
	_, err := from.engine().ComposeQueued(t.Context(), "alfa.example", func(request []byte, _ []store.Message) error {
		answer, err := to.Receive(t.Context(), from.trustDomain, request)
		answers = append(answers, answer)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return answers
}
