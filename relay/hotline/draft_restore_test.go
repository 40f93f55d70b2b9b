// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// A draft of a backup may be a message by now. Nobody is told that it waits or expired, and
// to write it again.
func TestADraftOfARestoredBackup(t *testing.T) {
	restored := func(t *testing.T, w *world) {
		w.alfa.apply(twoPersons(), shift...)
		w.alfa.drafted(t, request(firstID, "s"))
		w.quiet()
		restore := w.alfa.backup()
		if _, err := w.alfa.release(t, "desk/rob", firstID); err != nil {
			t.Fatal(err)
		}
		w.quiet()
		restore()
		w.alfa.start()
	}
	once := func(t *testing.T, w *world) {
		t.Helper()
		if in, out := w.bravo.list(store.In), w.alfa.list(store.Out); len(in) != 1 || len(out) != 1 || in[0].ID != firstID || out[0].ID != firstID {
			t.Errorf("alfa sent %d messages, bravo has %d", len(out), len(in))
		}
		d, err := w.alfa.engine().GetDraft(t.Context(), "bravo", firstID)
		if err != nil || d.Draft.State != desk.DraftSent {
			t.Errorf("the draft is %+v, %v", d.Draft, err)
		}
	}
	bubble(t, "is_sent_when_the_peer_gave_it_back", func(t *testing.T, w *world) {
		restored(t, w)
		w.quiet()
		_, err := w.alfa.release(t, "desk/rob", firstID)
		wantConflict(t, err, "left before our database was set back")
		w.quiet()
		once(t, w)
	})
	bubble(t, "is_sent_once_when_it_is_released_again_before_that", func(t *testing.T, w *world) {
		restored(t, w)
		if _, err := w.alfa.release(t, "desk/rob", firstID); err != nil {
			t.Fatal(err)
		}
		w.quiet()
		once(t, w)
	})
}
