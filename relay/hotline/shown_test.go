// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

// TestWhatPeopleSeeIsOnTheDisk: GlanceLine is for the lane, and refused here.
func TestWhatPeopleSeeIsOnTheDisk(t *testing.T) {
	for name, see := range map[string]func(*testing.T, *nation) error{
		"a_draft": func(t *testing.T, n *nation) error {
			_, err := n.engine().GetDraft(t.Context(), "bravo", firstID)
			return err
		},
		"acts": func(t *testing.T, n *nation) error {
			_, err := n.engine().ListActs(t.Context(), "to-bravo", "", 0)
			return err
		},
		"a_message_and_its_proof": func(t *testing.T, n *nation) error {
			_, err := n.engine().Get(t.Context(), store.Out, "bravo", ulidFor(0, 1))
			return err
		},
		"a_proof_alone": func(t *testing.T, n *nation) error {
			_, err := n.engine().Prove(t.Context(), string(store.Out), "bravo", ulidFor(0, 1), false)
			return err
		},
		"the_proof_of_a_receipt": func(t *testing.T, n *nation) error {
			_, err := n.engine().Prove(t.Context(), string(store.Out), "bravo", ulidFor(0, 1), true)
			return err
		},
		"doubts": func(t *testing.T, n *nation) error {
			_, err := n.engine().JournalDoubts(t.Context(), "to-bravo")
			return err
		},
		"the_head_of_the_journal": func(t *testing.T, n *nation) error {
			_, err := n.engine().JournalHead(t.Context(), "to-bravo")
			return err
		},
		"the_journal_that_is_verified": func(t *testing.T, n *nation) error {
			_, err := n.engine().VerifyJournal(t.Context(), "to-bravo")
			return err
		},
		"the_report": func(t *testing.T, n *nation) error {
			_, err := n.engine().ReportHotlines(t.Context())
			return err
		},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.alfa.send(request(ulidFor(0, 1), "s"))
			w.quiet()
			w.faults(cut)
			w.alfa.apply(&config.Release{Quorum: 1}, shift...)
			w.alfa.drafted(t, request(firstID, "s"))
			l := w.alfa.life()
			l.unsynced.Store(true)
			defer l.unsynced.Store(false)
			if err := l.store.GlanceLine(t.Context(), "bravo.example", func(store.LineReader) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if err := see(t, w.alfa); errors.Is(err, errUnsynced) {
				t.Error("it shows what may not be on the disk yet")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
