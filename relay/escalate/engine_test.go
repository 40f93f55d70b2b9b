// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestEscalation(t *testing.T) {
	bubble(t, "goes_step_by_step_and_ends_with_the_acknowledgement", ladder(), func(t *testing.T, w *world) {
		w.send("A")
		w.wait(55 * time.Second)
		same(t, "before the deadline", w.got("pager"), []string(nil))
		w.wait(10 * time.Second)
		same(t, "after the deadline", w.got("pager"), []string{"Escalated A first/1"})
		w.wait(10 * time.Minute)
		same(t, "ten minutes later", w.got("pager"), []string{"Escalated A first/1", "Escalated A first/2"})
		w.wait(50 * time.Minute)
		same(t, "an hour later", w.got("pager"), []string{"Escalated A first/1", "Escalated A first/2", "Escalated A first/3", "Escalated A later/1"})
		same(t, "the chief", w.got("chief"), []string{"Escalated A later/1"})
		if r := w.report(); r == nil || r.Open != 1 || r.Step != "later" || r.Message != "A" || len(r.Failing) != 0 {
			t.Errorf("the report says %+v", r)
		}
		w.acknowledge("A")
		w.wait(time.Minute)
		same(t, "the chief at the end", w.got("chief"), []string{"Escalated A later/1", "Settled A later/0"})
		did := w.did()
		slices.Sort(did[min(10, len(did)):]) // the notifiers are told at the same time
		same(t, "acts", did, []string{
			"ESCALATED A", "NOTIFIED A", "ESCALATED A", "NOTIFIED A", "ESCALATED A", "NOTIFIED A", "ESCALATED A", "NOTIFIED A", "NOTIFIED A",
			"ESCALATION_SETTLED A", "NOTIFIED ", "NOTIFIED A",
		})
		if r := w.report(); r != nil {
			t.Errorf("the report still says %+v", r)
		}
		w.wait(20 * time.Minute)
		if n := len(w.did()); n != 12 {
			t.Errorf("%d acts, though nothing happened", n)
		}
	})
	bubble(t, "tells_no_content_unless_it_is_to", ladder(), func(t *testing.T, w *world) {
		w.send("A")
		w.wait(2 * time.Minute)
		if text := fmt.Sprintf("%+v", w.heard("pager")); strings.Contains(text, "secret") || !strings.Contains(text, "AMBER") {
			t.Errorf("it is told %s", text)
		}
	})
	bubble(t, "is_told_to_a_failing_notifier_until_it_takes_it", ladder(), func(t *testing.T, w *world) {
		w.fail("pager", errDown)
		w.send("A")
		w.wait(9 * time.Minute)
		r := w.report()
		if r == nil || len(r.Failing) != 1 || r.Failing[0].Name != "pager" || r.Failing[0].Waiting != 1 || r.Failing[0].Error == "" {
			t.Fatalf("the report says %+v", r)
		}
		tries := len(w.got("pager"))
		if tries < 4 || tries > 12 {
			t.Errorf("it was tried %d times", tries)
		}
		ids := map[string]bool{}
		for _, n := range w.heard("pager") {
			ids[n.ID] = true
		}
		w.fail("pager", nil)
		if len(ids) != 1 {
			t.Errorf("one notification has %d ids", len(ids))
		}
		w.wait(6 * time.Minute)
		list, err := w.engine.ListEscalations(t.Context(), "to-bravo", desk.EscalationQuery{Limit: 10})
		if err != nil || len(list.Notices) == 0 {
			t.Fatal(err)
		}
		if last := list.Notices[len(list.Notices)-1]; last.State != desk.NoticeTold || last.Attempts < 4 || last.Error != "" {
			t.Errorf("the notice is %+v", last)
		}
		if r := w.report(); r == nil || len(r.Failing) != 0 {
			t.Errorf("the report says %+v", r)
		}
	})
}

func TestEscalationGoesOn(t *testing.T) {
	bubble(t, "is_no_storm_when_very_many_are_overdue", ladder(), func(t *testing.T, w *world) {
		for i := range 300 {
			w.send(fmt.Sprintf("M%04d", i))
		}
		w.wait(5 * time.Minute)
		told := slices.Compact(slices.Sorted(slices.Values(w.got("pager"))))
		if len(told) != 300 || len(w.heard("pager")) > 20 {
			t.Errorf("%d messages in %d notifications", len(told), len(w.heard("pager")))
		}
	})
	bubble(t, "is_no_storm_and_no_silence_when_the_clock_jumps_a_day", ladder(), func(t *testing.T, w *world) {
		w.send("A")
		for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour, 24 * time.Hour, -24 * time.Hour} {
			w.mu.Lock()
			w.offset += jump
			w.mu.Unlock()
			w.wait(3 * time.Minute)
		}
		// Each step, with its repetitions, is told once at most.
		told := w.got("pager")
		if len(told) < 2 || len(told) > 4 || len(slices.Compact(slices.Sorted(slices.Values(told)))) != len(told) {
			t.Errorf("it is told %v", told)
		}
	})
	bubble(t, "is_told_though_nothing_can_be_recorded", ladder(), func(t *testing.T, w *world) {
		w.full(true)
		w.send("A")
		w.wait(10 * time.Minute)
		same(t, "while the disk is full", w.got("pager"), []string{"Escalated A first/1"})
		if r := w.report(); r == nil || !strings.Contains(r.Error, "storage is full") {
			t.Errorf("the report says %+v", r)
		}
		w.full(false)
		w.wait(time.Minute)
		same(t, "acts once there is room", w.did()[:2], []string{"ESCALATED A", "NOTIFIED A"})
		if all := w.heard("pager"); len(all) < 2 {
			t.Errorf("told %d times", len(all))
		} else if a, b := all[0].Items[0], all[1].Items[0]; a.Message != b.Message || a.Step != b.Step {
			t.Errorf("another one: %+v, %+v", a, b)
		}
	})
	bubble(t, "is_not_told_to_a_notifier_that_is_gone", ladder(), func(t *testing.T, w *world) {
		w.fail("pager", errDown)
		w.send("A")
		w.wait(2 * time.Minute)
		w.conf.Hotlines[0].Notifiers = w.conf.Hotlines[0].Notifiers[1:]
		w.conf.Hotlines[0].Escalation = w.conf.Hotlines[0].Escalation[1:]
		w.conf.Hotlines[0].Escalation[0].Notify = []string{"chief"}
		w.engine.Apply(w.conf)
		before := len(w.got("pager"))
		w.wait(40 * time.Minute)
		if after := len(w.got("pager")); after != before {
			t.Errorf("it was told %d times more", after-before)
		}
		list, err := w.engine.ListEscalations(t.Context(), "to-bravo", desk.EscalationQuery{Limit: 10, Message: "A"})
		if err != nil || list.Notices[len(list.Notices)-1].State != desk.NoticeGivenUp {
			t.Errorf("%+v, %v", list, err)
		}
		same(t, "the chief", w.got("chief"), []string{"Escalated A later/1"})
	})
}

// A relay dies right after each act, and before what follows it: nothing is lost, and what is
// told again has the key that it had.
func TestAKillLosesNoStepAndDoublesNoKey(t *testing.T) {
	for _, at := range []string{ActEscalated, ActNotified, ActSettled} {
		bubble(t, "after_"+at, ladder(), func(t *testing.T, w *world) {
			died := make(chan struct{})
			w.mu.Lock()
			w.after = func(a hotline.Act) {
				if a.Name == at {
					w.mu.Lock()
					w.after = nil
					w.mu.Unlock()
					w.cancel()
					close(died)
				}
			}
			w.mu.Unlock()
			w.send("A")
			if at == ActSettled {
				w.wait(2 * time.Minute)
				w.acknowledge("A")
			}
			<-died
			<-w.done
			w.start()
			w.wait(5 * time.Minute)
			want := []string{"Escalated A first/1"}
			if at == ActSettled {
				want = append(want, "Settled A first/0")
			}
			same(t, "told", w.got("pager"), want)
		})
	}
	bubble(t, "while_it_tells", ladder(), func(t *testing.T, w *world) {
		w.send("A")
		w.fail("pager", errors.New("the answer is lost"))
		w.wait(62 * time.Second)
		w.stop()
		w.fail("pager", nil)
		w.start()
		w.wait(5 * time.Minute)
		keys := map[string]bool{}
		for _, n := range w.heard("pager") {
			keys[n.ID+" "+n.Items[0].ID] = true
		}
		if len(keys) != 1 || len(w.heard("pager")) < 2 {
			t.Errorf("%d notifications have %d keys", len(w.heard("pager")), len(keys))
		}
	})
}

func TestDelivery(t *testing.T) {
	h := config.Hotline{
		Notifiers: []config.Notifier{{Name: "pager"}, {Name: "mail", Include: config.IncludeFull}},
		Delivery:  []config.Notice{{Precedences: []string{"FLASH"}, Notify: []string{"pager", "mail"}}, {Notify: []string{"mail"}}},
	}
	bubble(t, "tells_of_each_new_message_once", h, func(t *testing.T, w *world) {
		w.receive("A", 1, "FLASH", "AMBER")
		w.engine.Wake()
		w.wait(10 * time.Second)
		w.receive("B", 2, "ROUTINE", "RED")
		w.receive("C", 3, "ROUTINE", "GREEN")
		w.wait(30 * time.Second)
		same(t, "the pager", w.got("pager"), []string{"Delivered A"})
		same(t, "the mail", w.got("mail"), []string{"Delivered A", "Delivered B", "Delivered C"})
		texts := map[string]string{}
		for _, n := range w.heard("mail") {
			for _, i := range n.Items {
				texts[i.Message] = i.Subject + "/" + i.Text
			}
		}
		same(t, "content", texts, map[string]string{"A": "secret subject/secret text", "B": "/", "C": "secret subject/secret text"})
		w.stop()
		w.start()
		w.wait(time.Minute)
		if n := len(w.got("mail")); n != 3 {
			t.Errorf("told %d times", n)
		}
	})
	bubble(t, "begins_with_what_arrives_after_it_was_asked_for", config.Hotline{}, func(t *testing.T, w *world) {
		w.receive("A", 1, "FLASH", "AMBER")
		w.wait(time.Minute)
		w.conf.Hotlines[0].Notifiers, w.conf.Hotlines[0].Delivery = []config.Notifier{{Name: "mail"}}, []config.Notice{{Notify: []string{"mail"}}}
		w.engine.Apply(w.conf)
		w.receive("B", 2, "FLASH", "AMBER")
		w.wait(time.Minute)
		same(t, "told", w.got("mail"), []string{"Delivered B"})
		w.conf.Hotlines[0].Delivery = nil
		w.engine.Apply(w.conf)
		w.receive("C", 3, "FLASH", "AMBER")
		w.wait(time.Minute)
		w.conf.Hotlines[0].Delivery = []config.Notice{{Notify: []string{"mail"}}}
		w.engine.Apply(w.conf)
		w.wait(time.Minute)
		w.receive("D", 4, "FLASH", "AMBER")
		w.wait(time.Minute)
		same(t, "after a while without", w.got("mail"), []string{"Delivered B", "Delivered D"})
	})
}

func TestAnAlertmanagerIsToldAgainWhileItLasts(t *testing.T) {
	h := ladder()
	h.Notifiers[0].Alertmanager = &config.Alertmanager{}
	h.Escalation = h.Escalation[:1]
	h.Escalation[0].RepeatSeconds = 0
	bubble(t, "as_it_forgets", h, func(t *testing.T, w *world) {
		w.send("A")
		w.wait(10 * time.Minute)
		if n := len(w.heard("pager")); n < 7 || n > 11 {
			t.Errorf("told %d times in 9 minutes", n)
		}
		if n := len(w.did()); n != 2 {
			t.Errorf("%d acts: %v", n, w.did())
		}
		w.acknowledge("A")
		w.wait(time.Minute)
		before := len(w.heard("pager"))
		if last := w.heard("pager")[before-1]; last.Event != notify.Settled {
			t.Errorf("the last is %+v", last)
		}
		w.wait(10 * time.Minute)
		if n := len(w.heard("pager")); n != before {
			t.Errorf("told %d times more", n-before)
		}
	})
}

func TestATestOfANotifierIsMarkedAndRecorded(t *testing.T) {
	bubble(t, "both_ways", ladder(), func(t *testing.T, w *world) {
		test, err := w.engine.TestNotifier(t.Context(), "to-bravo", "pager")
		if err != nil || !test.Taken || test.Kind != "webhook" || w.heard("pager")[0].Event != notify.Test || w.heard("pager")[0].ID != test.ID {
			t.Errorf("%+v, %v", test, err)
		}
		w.fail("chief", errDown)
		test, err = w.engine.TestNotifier(t.Context(), "to-bravo", "chief")
		if err != nil || test.Taken || test.Layer != string(notify.LayerNetwork) || test.Error == "" {
			t.Errorf("%+v, %v", test, err)
		}
		same(t, "acts", w.did(), []string{"NOTIFIER_TESTED ", "NOTIFIER_TESTED "})
		for _, name := range [][2]string{{"to-bravo", "nobody"}, {"to-nobody", "pager"}} {
			if _, err := w.engine.TestNotifier(t.Context(), name[0], name[1]); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v: %v", name, err)
			}
		}
	})
}
