// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

func TestAnAnswerThatWasOvertakenByManyBatchesOfTheSender(t *testing.T) {
	bubble(t, "settles_its_message_at_once", func(t *testing.T, w *world) {
		w.pass(1)
		w.alfa.late.Store(int64(2 * time.Second))
		w.alfa.send(request(ulidFor(0, 0), "over a slow path"))
		<-time.After(100 * time.Millisecond) // it is there before what is sent along with it could overtake it
		for range 150 {                      // three seconds of a busy peer with a fast path
			w.bravo.send(request("", "busy"))
			<-time.After(20 * time.Millisecond)
		}
		if m := w.alfa.list(store.Out)[0]; m.State != "Stored" {
			t.Errorf("after three seconds the message is %s: %+v", m.State, w.alfa.report())
		}
	})
}

func TestAnswersThatArriveInAnotherOrder(t *testing.T) {
	bubble(t, "are_no_reason_to_doubt_the_peer_unless_they_exclude_each_other", func(t *testing.T, w *world) {
		w.faults(cut)
		l := w.bravo.engine().lineTo("alfa.example")
		f, other := w.forges(), w.forges()
		say := func(f *forger, n int) int64 {
			p := payload("alfa.example", "bravo.example")
			p.ID, p.Serial = ulidFor(n/30, n%30), int64(n+1)
			return f.say(t, journal.Message, mustJSON(t, p))
		}
		first := say(f, 0)
		say(other, 0)
		post(t, w, alfaRelay, ContentType, f.batch(t, 0, first))
		early := l.asking()
		say(f, 1)
		older := f.batch(t, 1)
		for n := 2; n < 4; n++ {
			say(f, n)
		}
		for n := range 4 {
			say(other, 10+n)
		}
		excluded := other.batch(t, 4)
		post(t, w, alfaRelay, ContentType, f.batch(t, 1, 1, 2, 3)) // with nothing that leads from 2 to 4
		late := l.asking()
		byHand := late
		byHand.byHand = true
		settle := func(a asked, answer []byte) string {
			outcome, err := l.settleAnswer(t.Context(), a, answer, nil, map[string]error{})
			return fmt.Sprint(outcome, " ", l.health.olderSince.IsZero(), " ", err)
		}
		for _, tt := range []struct {
			name, want string
			asked      asked
			answer     []byte
		}{
			{"an older state, asked for before", fmt.Sprint(overtaken, " true <nil>"), early, older},
			{"an older state that was carried", fmt.Sprint(overtaken, " true <nil>"), byHand, older},
			{"another history", fmt.Sprint(retry, " true verifying receipt: the peer's journal has two histories: ", journal.ErrForked), early, excluded},
			{"an older state, asked for since", fmt.Sprint(retry, " false <nil>"), late, older},
		} {
			if got := settle(tt.asked, tt.answer); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
		}
		l.health.olderSince = time.Time{}
		l.peerLog.forget() // it goes on in another history
		l.peerLog.mu.Lock()
		l.peerLog.held = late.held
		l.peerLog.mu.Unlock()
		if got, want := settle(late, excluded), fmt.Sprint(overtaken, " true <nil>"); got != want {
			t.Errorf("an answer of the history before: %s, want %s", got, want)
		}
		if s := opened(t, w, post(t, w, alfaRelay, ContentType, excluded)).State; s != wire.Forked {
			t.Errorf("a batch of another history is %s", s)
		}
	})
}
