// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// lostPower sends a message that the peer stores, and then takes alfa's disk back to before it was
// written, as a power loss leaves it that comes before the sync ended: see
// docs/design/007. Alfa runs again when it returns, and reaches nobody.
func (w *world) lostPower(t *testing.T, id, subject string) {
	t.Helper()
	restore := w.alfa.backup()
	w.quiet()
	held := len(w.bravo.list(store.In))
	struck := w.arm(crash{step{"alfa", "response"}, "alfa", fails, 0})
	r := inTalk(id, "talk", "ROUTINE", subject)
	r.Hotline = w.alfa.hotline()
	_, _, err := w.alfa.engine().Send(t.Context(), r) // the officer's answer is lost with the power
	for !struck.Load() {
		<-time.After(time.Millisecond)
	}
	if got := len(w.bravo.list(store.In)); got != held+1 || err != nil {
		t.Fatalf("bravo holds %d messages, want %d; sending: %v", got, held+1, err)
	}
	w.faults(cut)
	restore()
	w.alfa.start()
	<-time.After(time.Second) // else what is repeated is the same, to the byte
}

func TestAPowerLossBetweenWrittenAndSynced(t *testing.T) {
	for name, tt := range map[string]struct {
		before string   // what both sides held
		sent   []string // by alfa's officers before bravo is reached
		want   string   // what bravo holds at the end
	}{
		"loses_no_message":                                {"s0", nil, "s0 s1"},
		"of_the_first_message_of_a_line":                  {"", nil, "s1"},
		"keeps_the_order_with_what_is_written_before":     {"s0", []string{"s2", "s3"}, "s0 s1 s2 s3"},
		"and_the_officer_repeats_the_message":             {"s0", []string{"s1"}, "s0 s1"},
		"and_the_officer_repeats_it_and_writes_another":   {"s0", []string{"s1", "s2"}, "s0 s1 s2"},
		"and_another_officer_is_faster_than_the_repeat":   {"s0", []string{"s2", "s1"}, "s0 s1 s2"},
		"of_the_first_message_and_the_officer_repeats_it": {"", []string{"s1"}, "s1"},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			ids := map[string]string{"s0": ulidFor(0, 0), "s1": ulidFor(0, 1), "s2": ulidFor(0, 2), "s3": ulidFor(0, 3)}
			if tt.before != "" {
				w.alfa.send(inTalk(ids[tt.before], "talk", "ROUTINE", tt.before))
			}
			w.quiet()
			w.lostPower(t, ids["s1"], "s1")
			for _, s := range tt.sent {
				w.alfa.send(inTalk(ids[s], "talk", "ROUTINE", s))
			}
			w.faults(nil)
			w.quiet()
			w.tookBack(t, tt.want, true)
			w.alfa.send(inTalk("", "talk", "ROUTINE", "t1"))
			w.bravo.send(request("", "back"))
			w.quiet()
			if got := w.bravo.subjects(store.In); got != tt.want+" t1" {
				t.Errorf("afterwards bravo holds %q", got)
			}
			w.bravo.proven(w.alfa, 1)
		})
	}
}

// tookBack fails unless both sides hold these messages once and in order, and say whether something was lost.
func (w *world) tookBack(t *testing.T, want string, lost bool) {
	t.Helper()
	ours := w.alfa.list(store.Out)
	slices.SortFunc(ours, func(a, b desk.Message) int { return cmp.Compare(a.Serial, b.Serial) })
	var said []string
	for _, m := range ours {
		said = append(said, m.Subject)
	}
	if theirs := w.bravo.subjects(store.In); strings.Join(said, " ") != want || theirs != want {
		t.Errorf("alfa holds %q, bravo %q; want %q", said, theirs, want)
	}
	w.alfa.proven(w.bravo, len(w.bravo.list(store.In)))
	w.bravo.inOrder(w.alfa)
	if j := w.alfa.report().Journal; (j.State == report.JournalRolledBack) != lost {
		t.Errorf("alfa's journal is %+v", j)
	}
	if c := w.alfa.verify(); c.State != desk.JournalWhole {
		t.Errorf("alfa's journal is %s: %v", c.State, c.Damage)
	}
}

func TestALogThatCannotBeSyncedWhileABatchIsUnderWay(t *testing.T) {
	for name, kept := range map[string]bool{"and_the_disk_kept_it": true, "and_the_disk_lost_it": false} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.alfa.send(inTalk(ulidFor(0, 0), "talk", "ROUTINE", "s0"))
			w.quiet()
			restore := w.alfa.backup()
			w.quiet()
			broken := w.alfa.life()
			w.faults(func(s step) outcome { // the batch is on the wire when the sync of alfa's disk fails
				if s.nation == "alfa" && s.what == "request" {
					broken.unflushed.Store(true)
				}
				return works
			})
			r := inTalk(ulidFor(0, 1), "talk", "ROUTINE", "s1")
			r.Hotline = w.alfa.hotline()
			if _, _, err := w.alfa.engine().Send(t.Context(), r); err != nil && !errors.Is(err, sqlite.ErrUnflushed) {
				t.Errorf("sending: %v", err)
			}
			w.quiet() // nothing is done and nothing is shown meanwhile
			if got := w.bravo.subjects(store.In); got != "s0 s1" {
				t.Fatalf("bravo holds %q", got)
			}
			r.ID, r.Subject = ulidFor(0, 2), "s2"
			if _, _, err := w.alfa.engine().Send(t.Context(), r); !errors.Is(err, sqlite.ErrUnflushed) {
				t.Errorf("sending into that store: %v", err)
			}
			w.faults(cut)
			if kept {
				w.alfa.kill()
			} else {
				restore()
			}
			w.alfa.start()
			w.alfa.send(inTalk(ulidFor(0, 2), "talk", "ROUTINE", "s2"))
			w.alfa.send(inTalk(ulidFor(0, 1), "talk", "ROUTINE", "s1")) // the officer had no answer
			w.faults(nil)
			w.quiet()
			w.tookBack(t, "s0 s1 s2", !kept)
		})
	}
}
