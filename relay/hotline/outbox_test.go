// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

// cutAndCount makes every request fail, and counts those of alfa.
func cutAndCount(w *world) *atomic.Int64 {
	n := new(atomic.Int64)
	w.faults(func(s step) outcome {
		if s == (step{"alfa", "request"}) {
			n.Add(1)
		}
		return cut(s)
	})
	return n
}

// fillDisk makes a step find the disk full.
func fillDisk(w *world, at step) {
	w.faults(func(s step) outcome {
		if s == at {
			return full
		}
		return works
	})
}

func TestOutbox(t *testing.T) {
	bubble(t, "redelivers_with_growing_pauses_until_it_arrives", func(t *testing.T, w *world) {
		attempts := cutAndCount(w)
		w.alfa.send(request(firstID, "s"))
		<-time.After(10 * time.Minute)
		if n := attempts.Load(); n < 20 || n > 35 { // 1+2+4+8+16 s, then 22.5 to 30 s each
			t.Errorf("%d attempts in ten minutes", n)
		}
		if r := w.alfa.report(); r.Queued != 1 || !strings.Contains(r.Error, errDead.Error()) {
			t.Errorf("report is %+v", r)
		}
		w.faults(nil)
		<-time.After(longestBackoff)
		w.alfa.proven(w.bravo, 1)
		if got := testutil.ToFloat64(w.alfa.engine().metrics.sentAgain.WithLabelValues("to-bravo")); got < 20 {
			t.Errorf("%v redeliveries are counted", got)
		}
	})
	bubble(t, "tries_at_once_when_it_is_woken", func(t *testing.T, w *world) {
		for name, wake := range map[string]func(){
			"link":                 func() { w.alfa.engine().Wake("bravo") },
			"link by trust domain": func() { w.alfa.engine().Wake("bravo.example") },
			"certificate":          func() { w.alfa.engine().WakeAll() },
			"configuration":        func() { w.alfa.engine().Apply(w.alfa.config) },
			"an urgent message": func() {
				r := request("", "urgent")
				r.Precedence = "FLASH"
				w.alfa.send(r)
			},
		} {
			w.faults(cut)
			w.alfa.send(request("", name))
			<-time.After(10 * time.Minute)
			w.faults(nil)
			wake()
			<-time.After(time.Millisecond)
			if r := w.alfa.report(); r.Queued != 0 {
				t.Errorf("%s: report is %+v", name, r)
			}
		}
		w.alfa.engine().Wake("nobody")
	})
}

func TestOutboxOrder(t *testing.T) {
	bubble(t, "sends_the_urgent_first_and_conversations_in_order", func(t *testing.T, w *world) {
		w.faults(cut)
		for i, m := range []struct{ talk, precedence string }{
			{"a", "ROUTINE"}, {"b", "PRIORITY"}, {"a", "ROUTINE"}, {"c", "FLASH"}, {"a", "IMMEDIATE"}, {"d", "ROUTINE"},
		} {
			r := request(ulidFor(0, i), m.talk+fmt.Sprint(i))
			r.Conversation, r.Precedence = m.talk, m.precedence
			w.alfa.send(r)
		}
		w.faults(nil)
		w.quiet()
		var got []string
		for _, m := range w.bravo.list(store.In) {
			if m.Subject != "c3" { // FLASH goes in a batch of its own beside the others
				got = append([]string{m.Subject}, got...)
			}
		}
		if diff := cmp.Diff([]string{"a0", "a2", "a4", "b1", "d5"}, got); diff != "" {
			t.Errorf("order of arrival (-want +got):\n%s", diff)
		}
	})
	bubble(t, "lets_other_conversations_pass_a_message_that_is_refused", func(t *testing.T, w *world) {
		// bravo holds another message under alfa's first serial: alfa's database was set back, say.
		_, _, err := w.bravo.life().store.Accept(t.Context(), store.Message{
			Peer: "alfa.example", ID: "x", Serial: 1, Payload: []byte("{}"), Receipt: []byte("r"),
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, talk := range []string{"a", "a", "b"} {
			r := request(ulidFor(0, i), talk)
			r.Conversation = talk
			w.alfa.send(r)
		}
		<-time.After(time.Minute)
		r := w.alfa.report()
		if r.Queued != 2 || !strings.Contains(r.Error, "the peer holds another message under the same number") {
			t.Errorf("report is %+v", r)
		}
		if m := w.alfa.list(store.Out)[0]; m.Subject != "b" || m.State != "Stored" {
			t.Errorf("newest message is %+v", m)
		}
	})
	bubble(t, "lets_other_conversations_pass_however_many_are_refused", func(t *testing.T, w *world) {
		const refused = 2 * maxHeld
		for i := range refused {
			_, _, err := w.bravo.life().store.Accept(t.Context(), store.Message{
				Peer: "alfa.example", ID: fmt.Sprint("x", i), Serial: int64(i + 1), Payload: []byte("{}"), Receipt: []byte("r"),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range refused + 1 {
			w.alfa.send(request(ulid.Make().String(), "first"))
		}
		w.quiet()
		if r := w.alfa.report(); r.Queued != refused {
			t.Errorf("%d are queued, want the %d refused ones", r.Queued, refused)
		}
		w.alfa.send(request(ulid.Make().String(), "later"))
		<-time.After(2 * longestBackoff)
		if r := w.alfa.report(); r.Queued != refused {
			t.Errorf("%d are queued, want the %d refused ones", r.Queued, refused)
		}
	})
}

func TestOutboxWaits(t *testing.T) {
	bubble(t, "waits_for_room_at_the_peer", func(t *testing.T, w *world) {
		fillDisk(w, step{"bravo", "Accept"})
		w.alfa.send(request(firstID, "s"))
		<-time.After(time.Minute)
		if r := w.alfa.report(); r.Queued != 1 || !strings.HasPrefix(r.Error, "the peer's storage is full") {
			t.Errorf("report is %+v", r)
		}
		if all := w.bravo.list(store.In); len(all) != 0 {
			t.Errorf("stored at the peer: %+v", all)
		}
		w.faults(nil)
		w.quiet()
		w.alfa.proven(w.bravo, 1)
	})
	bubble(t, "keeps_the_message_when_our_own_disk_is_full_for_the_receipt", func(t *testing.T, w *world) {
		fillDisk(w, step{"alfa", "PutReceipts"})
		w.alfa.send(request(firstID, "s"))
		<-time.After(time.Minute)
		if r := w.alfa.report(); r.Queued != 1 || !strings.HasPrefix(r.Error, "our own storage is full") {
			t.Errorf("report is %+v", r)
		}
		w.faults(nil)
		w.quiet()
		w.alfa.proven(w.bravo, 1)
	})
	bubble(t, "sends_with_renewed_certificates_what_the_old_ones_could_not", func(t *testing.T, w *world) {
		expired := w.alfa.newIdentity(w.alfa.ca, w.bravo.ca)
		expired.pair = w.alfa.ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
		w.alfa.become(expired)
		w.alfa.send(request(firstID, "s"))
		<-time.After(10 * time.Minute)
		if r := w.alfa.report(); r.Queued != 1 || !strings.Contains(r.Error, "outside its validity") {
			t.Errorf("report is %+v", r)
		}
		w.alfa.become(w.alfa.newIdentity(w.alfa.ca, w.bravo.ca))
		w.alfa.engine().WakeAll()
		<-time.After(time.Millisecond)
		w.alfa.proven(w.bravo, 1)
	})
	bubble(t, "follows_the_configuration", func(t *testing.T, w *world) {
		w.faults(cut)
		w.alfa.send(request(firstID, "s"))
		revoked := *w.alfa.config
		revoked.Peers = []config.Peer{{Name: "bravo", TrustDomain: "bravo.example", State: config.Revoked}}
		w.alfa.engine().Apply(&revoked)
		w.faults(nil)
		<-time.After(time.Hour)
		if all := w.bravo.list(store.In); len(all) != 0 {
			t.Errorf("a revoked peer got %+v", all)
		}
		if hotlines, err := w.alfa.engine().ReportHotlines(t.Context()); err != nil || len(hotlines) != 0 {
			t.Errorf("report is %+v, %v", hotlines, err)
		}
		r := request("", "s")
		r.Hotline = "to-bravo"
		if _, _, err := w.alfa.engine().Send(t.Context(), r); err == nil || !strings.Contains(err.Error(), "hotline: there is no hotline") || strings.Contains(err.Error(), "to:") {
			t.Errorf("sending to a revoked peer: %v", err)
		}
		w.alfa.engine().Apply(w.alfa.config)
		w.quiet()
		w.alfa.proven(w.bravo, 1)
	})
}

func TestBackoff(t *testing.T) {
	for n, longest := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: 30 * time.Second, 1000: 30 * time.Second} {
		for range 100 {
			if d := backoff(n); d > longest || d < longest*3/4 {
				t.Errorf("after %d failures it waits %v, want %v less up to a quarter", n, d, longest)
			}
		}
	}
}

func TestNew(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("New accepts an empty configuration")
	}
}

func TestForPeople(t *testing.T) {
	for _, err := range []error{
		errors.New("several\nlines\x00 of \x1b[31mtext " + strings.Repeat("x", 1000)),
		&refusedError{status: 500, detail: strings.Repeat("x", 1000)},
	} {
		if line := forPeople(err); strings.ContainsAny(line, "\n\x00\x1b") || len(line) > 400 {
			t.Errorf("it says %q", line)
		}
	}
}

// TestWhatWaitsBehindAFLASHGoesWhenThatHasArrived: nothing else pokes the usual lane.
func TestWhatWaitsBehindAFLASHGoesWhenThatHasArrived(t *testing.T) {
	bubble(t, "at_once", func(t *testing.T, w *world) {
		w.quiet() // both have met
		slow := make(chan struct{})
		w.alfa.life().engine.cfg.Client = slowFirst(w, slow)
		w.alfa.send(inTalk("", "talk", "FLASH", "1"))
		synctest.Wait()
		for i := range 5 {
			w.alfa.send(inTalk("", "talk", "ROUTINE", fmt.Sprint(i+2)))
		}
		synctest.Wait()
		if got := w.bravo.subjects(store.In); got != "" {
			t.Fatalf("bravo holds %q before the FLASH", got)
		}
		close(slow)
		<-time.After(time.Second)
		if got := w.bravo.subjects(store.In); got != "1 2 3 4 5 6" {
			t.Errorf("a second later bravo holds %q", got)
		}
	})
}

// slowFirst is the client of alfa whose requests wait for a signal.
func slowFirst(w *world, until <-chan struct{}) func(string) *http.Client {
	return func(string) *http.Client {
		return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-until
			return (&cable{from: w.alfa, life: w.alfa.life()}).RoundTrip(r)
		})}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
