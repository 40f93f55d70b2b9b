// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

// replies stores a message of the peer that answers one of ours.
func (w *world) replies(kind, id string, serial int64) {
	w.t.Helper()
	m := store.Message{Peer: bravo, ID: kind + "-" + id, Serial: serial, Conversation: id, Kind: kind, InReplyTo: id, Precedence: "FLASH", Payload: []byte(id), CreatedAt: time.Now()}
	if _, _, err := w.store.Accept(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
}

func TestSilenceAfterTheAcknowledgement(t *testing.T) {
	h := ladder()
	h.Escalation = append(h.Escalation[:1], config.Step{Name: "call-them", Stage: config.StageAnswer, Notify: []string{"chief"}})
	bubble(t, "is_told_until_the_answer", h, func(t *testing.T, w *world) {
		w.send("A")
		w.wait(30 * time.Second)
		w.replies("ACK", "A", 1)
		w.mu.Lock() // it is read, and an answer is due in an hour
		w.situations[0].Stage, w.situations[0].Deadline = config.StageAnswer, time.Now().Add(time.Hour)
		w.mu.Unlock()
		w.wait(59 * time.Minute)
		if told := slices.Concat(w.got("pager"), w.got("chief")); len(told) > 0 {
			t.Errorf("before its time it is told %v", told)
		}
		w.wait(2 * time.Minute)
		same(t, "once the answer is late", w.got("chief"), []string{"Escalated A call-them/1"})
		w.replies("ACK", "A", 2) // to read it once more is no answer
		w.wait(time.Minute)
		same(t, "after another acknowledgement", w.got("chief"), []string{"Escalated A call-them/1"})
		w.mu.Lock() // more urgent ones are watched in its place: it waits on
		w.situations = nil
		w.mu.Unlock()
		w.wait(time.Minute)
		same(t, "while others are watched", w.got("chief"), []string{"Escalated A call-them/1"})
		w.replies("ANSWER", "A", 3)
		w.wait(time.Minute)
		same(t, "after the answer", w.got("chief"), []string{"Escalated A call-them/1", "Settled A call-them/0"})
		same(t, "acts", w.did(), []string{"ESCALATED A", "NOTIFIED A", "ESCALATION_SETTLED A", "NOTIFIED A"})
	})
}

func TestANotifierThatHangs(t *testing.T) {
	h := ladder()
	h.Escalation[0].Notify, h.Escalation[0].RepeatSeconds = []string{"pager", "chief"}, 0
	bubble(t, "holds_up_no_other_and_is_told_again", h, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.hangs = "pager"
		w.mu.Unlock()
		w.send("A")
		w.wait(70 * time.Second)
		same(t, "the other", w.got("chief"), []string{"Escalated A first/1"})
		w.send("B")
		w.wait(70 * time.Second)
		same(t, "the other, of the next one", w.got("chief"), []string{"Escalated A first/1", "Escalated B first/1"})
		w.wait(5 * time.Minute)
		if r := w.report(); r == nil || len(r.Failing) != 1 || r.Failing[0].Name != "pager" {
			t.Errorf("the report says %+v", r)
		}
		if n := len(w.heard("pager")); n < 3 || n > 8 {
			t.Errorf("it was tried %d times in six minutes", n)
		}
		w.mu.Lock()
		w.hangs = ""
		w.mu.Unlock()
		before := len(w.got("pager"))
		w.wait(2*notify.Timeout + longestPause + time.Minute)
		told := w.got("pager")[before:]
		slices.Sort(told)
		if told = slices.Compact(told); !slices.Contains(told, "Escalated A first/1") || !slices.Contains(told, "Escalated B first/1") {
			t.Errorf("once it goes on it is told %v", told)
		}
	})
}

// With more open steps than one list holds, those behind it count, too.
func TestVeryManyOpenSteps(t *testing.T) {
	h := ladder()
	h.Notifiers[0].Alertmanager = &config.Alertmanager{}
	h.Escalation = append(h.Escalation[:1], config.Step{Name: "relay", Stage: config.StageReceipt, Notify: []string{"chief"}})
	bubble(t, "hide_no_repetition_of_a_FLASH_and_end_no_alert", h, func(t *testing.T, w *world) {
		w.stop()
		const open = store.MaxRecords + 100
		var waiting []Situation
		if err := w.store.ChangeLine(t.Context(), bravo, func(tx store.LineTx) error {
			for i := range open {
				s := Situation{Direction: store.Out, Message: fmt.Sprintf("M%06d", i), Stage: config.StageReceipt, Precedence: "ROUTINE", Deadline: time.Now()}
				waiting = append(waiting, s)
				if err := tx.TakeStep(store.Escalation{
					Direction: s.Direction, Message: s.Message, Stage: string(s.Stage), Step: "relay", Taken: 1, FirstAt: s.Deadline, LastAt: s.Deadline,
				}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.situations = waiting
		w.mu.Unlock()
		w.start()
		w.send("Z")
		w.wait(13 * time.Minute)
		var steps []string
		var last time.Time
		for _, n := range w.heard("pager") {
			for _, i := range n.Items {
				if last = n.At; i.Deadline.IsZero() {
					continue // an alert that is told again
				}
				steps = append(steps, fmt.Sprintf("%s %s/%d", i.Message, i.Step, i.Occurrence))
			}
		}
		same(t, "the pager", steps, []string{"Z first/1", "Z first/2"})
		if time.Since(last) > notify.AlertLasts {
			t.Errorf("the alert of a silence that lasts was told last %s ago, and has ended", time.Since(last))
		}
		if told := w.got("chief"); len(told) > 0 {
			t.Errorf("what was told before is told again: %d times", len(told))
		}
		if r := w.report(); r == nil || r.Open != open+1 {
			t.Errorf("the report says %+v", r)
		}
	})
}
