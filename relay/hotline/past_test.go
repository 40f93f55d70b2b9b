// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/report"
)

func TestABatchBelowTheStateThatThePeerHasLeftWhichComesLate(t *testing.T) {
	for name, after := range map[string]func(w *world) *Engine{
		"is_no_second_history_after_a_restart": func(w *world) *Engine {
			w.bravo.kill()
			w.bravo.start()
			return w.bravo.engine()
		},
		"nor_for_another_replica": func(w *world) *Engine { return w.bravo.replica() },
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.faults(cut)
			at := w.bravo.engine()
			f := w.forges()
			w.give(t, at, f.batch(t, 0, f.talk(t, 0)))
			restored, third := f.fork(), f.fork()
			taken := f.batch(t, 1, f.talk(t, 1), f.talk(t, 2))
			w.give(t, at, taken)
			late := f.batch(t, 3, f.talk(t, 3)) // it is on its way for long, and the next one leads on from it, too
			f.change = func(b *wire.Batch) {
				if err := wire.NewProver(b, f.tree, f).Continue(4); err != nil {
					t.Error(err)
				}
			}
			w.give(t, at, f.batch(t, 3, 3, f.talk(t, 4)))
			if s := w.give(t, at, restored.batch(t, 1, restored.leaves(t, f.tree))).State; s != wire.Continues {
				t.Fatalf("the note is %s", s)
			}
			w.give(t, at, restored.batch(t, 2, restored.talk(t, 20)))
			at = after(w)
			for _, tt := range []struct {
				what string
				body []byte
			}{{"was taken before", taken}, {"was overtaken by that state", late}} {
				if s := w.give(t, at, tt.body).State; s != wire.Behind {
					t.Errorf("one that %s is %s", tt.what, s)
				}
			}
			if s, list := stateAt(t, at), w.bravo.doubts(); s != report.PeerJournalRolledBack || len(list) != 0 {
				t.Errorf("the journal is %s: %+v", s, list)
			}
			for n := range 2 {
				third.talk(t, 10+n)
			}
			if s := w.give(t, at, third.batch(t, 3, third.talk(t, 12))).State; s != wire.Forked || len(w.bravo.doubts()) != 1 {
				t.Errorf("a third history of a size below that state is %s: %+v", s, w.bravo.doubts())
			}
		})
	}
}
