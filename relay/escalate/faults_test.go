// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

func TestAFullDisk(t *testing.T) {
	bubble(t, "is_no_storm_when_very_many_cannot_be_recorded", ladder(), func(t *testing.T, w *world) {
		for i := range 150 {
			w.send(fmt.Sprintf("M%04d", i))
		}
		w.full(true)
		w.wait(10 * time.Minute)
		if n := len(w.heard("pager")); n < 1 || n > 5 {
			t.Errorf("told %d times", n)
		}
	})
	bubble(t, "repeats_nothing_that_was_told_and_could_not_be_recorded", ladder(), func(t *testing.T, w *world) {
		w.mu.Lock()
		w.after = func(a hotline.Act) {
			if a.Name == ActEscalated {
				w.full(true)
			}
		}
		w.mu.Unlock()
		w.send("A")
		w.wait(9 * time.Minute)
		same(t, "while the disk is full", w.got("pager"), []string{"Escalated A first/1"})
		if r := w.report(); r == nil || r.Error == "" {
			t.Errorf("the report says %+v", r)
		}
		w.full(false)
		w.wait(30 * time.Second)
		same(t, "told", w.got("pager"), []string{"Escalated A first/1"})
		same(t, "acts", w.did(), []string{"ESCALATED A", "NOTIFIED A"})
		if r := w.report(); r == nil || r.Error != "" {
			t.Errorf("the report still says %+v", r)
		}
	})
}

func TestManyAlertsAreAllToldAgain(t *testing.T) {
	h := ladder()
	h.Notifiers[0].Alertmanager = &config.Alertmanager{}
	h.Escalation = h.Escalation[:1]
	h.Escalation[0].RepeatSeconds = 0
	bubble(t, "beyond_one_request", h, func(t *testing.T, w *world) {
		for i := range 120 {
			w.send(fmt.Sprintf("M%04d", i))
		}
		w.wait(10 * time.Minute)
		from := time.Now().Add(-notify.AlertLasts)
		told := map[string]bool{}
		for _, n := range w.heard("pager") {
			for _, i := range n.Items {
				if n.At.After(from) {
					told[i.Message] = true
				}
			}
		}
		if len(told) != 120 {
			t.Errorf("%d of 120 alerts were told again", len(told))
		}
	})
}

// drill stores a message of ours that names an exercise, in a conversation that is one or not.
func (w *world) drill(id string, known bool) {
	w.t.Helper()
	p := message.Message{ID: id, Kind: message.Inquiry, Precedence: "FLASH", TLP: "CLEAR", Exercise: "spring", RSIT: message.TestCode}
	raw, err := json.Marshal(p)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.store.Enqueue(w.t.Context(), bravo, func(int64) (store.Message, error) {
		return store.Message{ID: id, Conversation: id, Kind: "INQUIRY", Precedence: "FLASH", Payload: raw, CreatedAt: time.Now()}, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if known {
		err := w.store.ChangeLine(w.t.Context(), bravo, func(tx store.LineTx) error { return tx.PutExercise(id, "spring") })
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.situations = append(w.situations, Situation{
		Direction: store.Out, Message: id, Stage: config.StageAcknowledgement, Precedence: "FLASH", Deadline: m.StoredAt.Add(time.Minute),
	})
}

func TestAnExerciseIsToldAsOneAndAfterWhatIsReal(t *testing.T) {
	bubble(t, "only_where_all_marks_say_so", ladder(), func(t *testing.T, w *world) {
		w.drill("A", true)
		w.drill("B", false)
		w.wait(2 * time.Minute)
		var got []string
		for _, n := range w.heard("pager") {
			for _, i := range n.Items {
				got = append(got, i.Message+" "+i.Exercise)
			}
		}
		slices.Sort(got)
		same(t, "told", got, []string{"A spring", "B "})
		if first := w.heard("pager")[0].Items; len(first) == 2 && first[0].Message != "B" {
			t.Errorf("the exercise comes before what is real: %+v", first)
		}
	})
}

func TestTwoReplicasTellOnce(t *testing.T) {
	bubble(t, "and_the_second_goes_on", ladder(), func(t *testing.T, w *world) {
		w.stop()
		var stops []func()
		for _, name := range []string{"one", "two"} {
			shared, err := lease.New(lease.Config{Store: w.store, Holder: name})
			if err != nil {
				t.Fatal(err)
			}
			w.lead = shared.Do
			w.start()
			stops = append(stops, w.stopOf())
		}
		w.send("A")
		w.wait(3 * time.Minute)
		same(t, "told by the first", w.got("pager"), []string{"Escalated A first/1"})
		stops[0]()
		w.wait(10 * time.Minute)
		same(t, "told by the second", w.got("pager"), []string{"Escalated A first/1", "Escalated A first/2"})
		w.acknowledge("A")
		w.wait(time.Minute)
		same(t, "told at the end", w.got("pager"), []string{"Escalated A first/1", "Escalated A first/2", "Settled A first/0"})
	})
}

// stopOf stops the relay that was started last, whenever it is called.
func (w *world) stopOf() func() {
	cancel, done := w.cancel, w.done
	return func() {
		cancel()
		<-done
	}
}

func TestATestOfANotifierSaysWhoMadeIt(t *testing.T) {
	bubble(t, "in_the_journal", ladder(), func(t *testing.T, w *world) {
		ctx := access.WithIdentity(t.Context(), "spiffe://alfa.example/desk/eve")
		if _, err := w.engine.TestNotifier(ctx, "to-bravo", "pager"); err != nil {
			t.Fatal(err)
		}
		if by := w.acts[0].By; by != "spiffe://alfa.example/desk/eve" {
			t.Errorf("it was %q", by)
		}
	})
}

func TestAHotlineThatIsDeletedAndMadeAgain(t *testing.T) {
	bubble(t, "goes_on_and_tells_nothing_twice", ladder(), func(t *testing.T, w *world) {
		w.send("A")
		w.wait(2 * time.Minute)
		same(t, "before", w.got("pager"), []string{"Escalated A first/1"})
		w.engine.Apply(&config.Config{Peers: w.conf.Peers})
		w.wait(20 * time.Minute)
		same(t, "while it is gone", w.got("pager"), []string{"Escalated A first/1"})
		w.engine.Apply(w.conf)
		w.wait(2 * time.Minute)
		same(t, "again", w.got("pager"), []string{"Escalated A first/1", "Escalated A first/2"})
	})
	bubble(t, "and_a_revoked_peer_is_left_alone_until_it_is_trusted_again", ladder(), func(t *testing.T, w *world) {
		revoked := *w.conf
		revoked.Peers = []config.Peer{{Name: "bravo", TrustDomain: bravo, State: config.Revoked}}
		w.engine.Apply(&revoked)
		w.send("A")
		w.wait(10 * time.Minute)
		same(t, "while it is revoked", w.got("pager"), []string(nil))
		if r := w.report(); r != nil {
			t.Errorf("the report says %+v", r)
		}
		w.engine.Apply(w.conf)
		w.wait(10 * time.Second)
		same(t, "after", w.got("pager"), []string{"Escalated A first/1"})
	})
}
