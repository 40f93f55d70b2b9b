// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// cut makes every request fail.
func cut(s step) outcome {
	if s.what == "request" {
		return fails
	}
	return works
}

func bubble(t *testing.T, name string, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		testbubble.Run(t, func(t *testing.T) { test(t, newWorld(t)) })
	})
}

func TestSend(t *testing.T) {
	bubble(t, "fills_in_the_defaults", func(t *testing.T, w *world) {
		w.faults(cut)
		m := w.alfa.send(request("", "s"))
		want := desk.Message{
			Direction: "out", Hotline: "to-bravo", Peer: "bravo.example", PeerName: "CERT bravo", ID: m.ID, Serial: 1,
			Conversation: m.ID, Kind: "NOTIFICATION", Precedence: "ROUTINE", TLP: "AMBER+STRICT", Subject: "s", Text: "text of s",
			Language: "en", Officer: "Officer One", CreatedAt: m.CreatedAt, StoredAt: m.StoredAt, State: "Queued",
			ReceiptDue: m.StoredAt.Add(15 * time.Minute), AcknowledgeDue: m.StoredAt.Add(24 * time.Hour),
		}
		if diff := cmp.Diff(want, m); diff != "" || m.ID == "" || m.StoredAt.IsZero() {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	})
	bubble(t, "names_every_fault_at_once", func(t *testing.T, w *world) {
		_, _, err := w.alfa.engine().Send(t.Context(), desk.SendRequest{
			Hotline: "none", ID: "x", Conversation: "a b", Kind: "ACK", Precedence: "SOON", TLP: "PINK",
			Language: "e", Subject: "two\nlines", Text: "bell\a", Officer: " ",
		})
		var invalid *desk.InvalidError
		if !errors.As(err, &invalid) {
			t.Fatalf("error is %v", err)
		}
		var fields []string
		for _, f := range invalid.Faults {
			fields = append(fields, f.Field)
		}
		want := []string{"hotline", "kind", "officer", "id", "conversation", "precedence", "tlp", "subject", "text", "language"}
		for _, field := range want {
			if !strings.Contains(strings.Join(fields, " "), field) {
				t.Errorf("no fault names %s: %v", field, invalid.Faults)
			}
		}
	})
	bubble(t, "requires_subject_text_and_officer", func(t *testing.T, w *world) {
		_, _, err := w.alfa.engine().Send(t.Context(), desk.SendRequest{Hotline: "to-bravo"})
		if want := "subject: is required; text: is required; officer: is required"; err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	})
}

func TestSendLongest(t *testing.T) {
	bubble(t, "refuses_what_is_too_long", func(t *testing.T, w *world) {
		long := request("", strings.Repeat("s", desk.MaxSubjectBytes+1))
		long.Text, long.Officer = strings.Repeat("t", desk.MaxTextBytes+1), strings.Repeat("o", desk.MaxOfficerBytes+1)
		long.Hotline = "to-bravo"
		_, _, err := w.alfa.engine().Send(t.Context(), long)
		var invalid *desk.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Faults) != 3 {
			t.Errorf("error is %v", err)
		}
		// Each escape makes a byte two: what cannot be signed is refused before it is stored.
		quotes := request("", "s")
		quotes.Hotline, quotes.Text = "to-bravo", strings.Repeat(`"`, desk.MaxTextBytes)
		if _, _, err := w.alfa.engine().Send(t.Context(), quotes); !errors.As(err, &invalid) || invalid.Faults[0].Field != "text" {
			t.Errorf("error is %v", err)
		}
	})
	bubble(t, "delivers_the_longest_text", func(t *testing.T, w *world) {
		long := request(firstID, strings.Repeat("é", desk.MaxSubjectBytes/2))
		long.Text = strings.Repeat("é", desk.MaxTextBytes/2)
		w.alfa.send(long)
		w.quiet()
		w.alfa.proven(w.bravo, 1)
	})
	bubble(t, "repeats_a_request_without_a_second_message", func(t *testing.T, w *world) {
		r := request(firstID, "s")
		r.Hotline = "to-bravo"
		first, created, err := w.alfa.engine().Send(t.Context(), r)
		if err != nil || !created {
			t.Fatal(created, err)
		}
		<-time.After(time.Minute)
		again, created, err := w.alfa.engine().Send(t.Context(), r)
		if err != nil || created || again.Serial != first.Serial || again.State != "Stored" {
			t.Errorf("again: %+v, created %v, error %v", again, created, err)
		}
		r.Text = "other"
		if _, _, err := w.alfa.engine().Send(t.Context(), r); !errors.Is(err, store.ErrConflict) {
			t.Errorf("other content under the same id: %v", err)
		}
		w.quiet()
		w.alfa.proven(w.bravo, 1)
	})
}

func TestSendFollows(t *testing.T) {
	bubble(t, "puts_an_answer_into_the_conversation", func(t *testing.T, w *world) {
		asked := w.alfa.send(request(firstID, "question"))
		w.quiet()
		r := request("", "answer")
		r.Kind, r.InReplyTo = "ANSWER", firstID
		if m := w.bravo.send(r); m.Conversation != asked.Conversation || m.InReplyTo != firstID {
			t.Errorf("answer is %+v", m)
		}
		r.Hotline, r.InReplyTo = "to-alfa", "01J0000000000000000000000Z"
		if _, _, err := w.bravo.engine().Send(t.Context(), r); err == nil || !strings.Contains(err.Error(), "inReplyTo: there is no such message from alfa.example") {
			t.Errorf("error is %v", err)
		}
		r.InReplyTo, r.Conversation = firstID, "other"
		if _, _, err := w.bravo.engine().Send(t.Context(), r); err == nil || !strings.Contains(err.Error(), "conversation: must be that of inReplyTo") {
			t.Errorf("error is %v", err)
		}
	})
	bubble(t, "carries_its_code_its_translations_and_what_is_to_be_preserved", func(t *testing.T, w *world) {
		r := request(firstID, "logs")
		r.Kind, r.RSIT, r.AnswerBy = "PRESERVE", "malicious-code:c2-server", time.Now().Add(time.Hour)
		r.Translations = []message.Translation{{Language: "fr", Subject: "journaux", Text: "texte", Translator: "T."}}
		r.Preserve = &message.Preserved{Items: []string{"connection logs of 192.0.2.7"}, LegalBasis: "article 29", Case: "A-1"}
		w.alfa.send(r)
		w.quiet()
		got, err := w.bravo.engine().Get(t.Context(), store.In, "alfa.example", firstID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Kind != r.Kind || got.RSIT != r.RSIT || !got.AnswerBy.Equal(r.AnswerBy) || cmp.Diff(got.Translations, r.Translations) != "" || cmp.Diff(got.Preserve, r.Preserve) != "" {
			t.Errorf("bravo reads %+v", got)
		}
		again := r
		again.Hotline, again.Translations = "to-bravo", nil
		if _, _, err := w.alfa.engine().Send(t.Context(), again); !errors.Is(err, store.ErrConflict) {
			t.Errorf("without its translation under the same id: %v", err)
		}
		r.ID, r.RSIT, r.Hotline = "", "malicious-code:cake", "to-bravo"
		if _, _, err := w.alfa.engine().Send(t.Context(), r); err == nil || !strings.Contains(err.Error(), "rsit: must be a class") {
			t.Errorf("a code that nobody knows: %v", err)
		}
	})
	bubble(t, "cancels_only_a_message_of_our_own", func(t *testing.T, w *world) {
		wrong := w.alfa.send(request(firstID, "wrong"))
		w.quiet()
		r := request("", "please disregard")
		r.Kind, r.References = "CANCEL", []message.Reference{{ID: firstID}}
		m := w.alfa.send(r)
		want := []message.Reference{{ID: firstID, Serial: wrong.Serial}}
		if m.Conversation != wrong.Conversation || cmp.Diff(want, m.References) != "" {
			t.Errorf("cancellation is %+v", m)
		}
		w.quiet()
		for name, c := range map[string]struct {
			references []message.Reference
			want       string
		}{
			"nothing":         {nil, "references: is required"},
			"what is unknown": {[]message.Reference{{ID: "01J0000000000000000000000Z"}}, "there is no such message to alfa.example"},
			"the peer's":      {[]message.Reference{{ID: firstID, By: message.ByReceiver}}, "only a message of our own"},
		} {
			r.Hotline, r.References = "to-alfa", c.references
			if _, _, err := w.bravo.engine().Send(t.Context(), r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("cancelling %s: %v, want %s", name, err, c.want)
			}
		}
	})
	bubble(t, "says_that_our_storage_is_full_and_stores_nothing", func(t *testing.T, w *world) {
		fillDisk(w, step{"alfa", "Enqueue"})
		r := request(firstID, "s")
		r.Hotline = "to-bravo"
		if _, _, err := w.alfa.engine().Send(t.Context(), r); !errors.Is(err, store.ErrFull) {
			t.Errorf("error is %v", err)
		}
		if all := w.alfa.list(store.Out); len(all) != 0 {
			t.Errorf("stored: %+v", all)
		}
		w.faults(nil)
		w.alfa.send(request(firstID, "s"))
		w.quiet()
		w.alfa.proven(w.bravo, 1)
	})
}

func TestAcknowledge(t *testing.T) {
	bubble(t, "marks_the_message_on_both_sides", func(t *testing.T, w *world) {
		r := request(firstID, "s")
		r.Precedence, r.TLP = "FLASH", "RED"
		w.alfa.send(r)
		w.quiet()
		ack, err := w.bravo.engine().Acknowledge(t.Context(), "alfa", firstID, desk.AckRequest{Officer: "Officer Two", Text: "seen"})
		if err != nil || ack.Kind != KindACK || ack.Precedence != "FLASH" || ack.TLP != "RED" || ack.Text != "seen" || ack.Conversation != firstID {
			t.Errorf("ACK is %+v, %v", ack, err)
		}
		if m, _ := w.bravo.engine().Get(t.Context(), store.In, "alfa", firstID); m.State != "Acknowledged" || m.AcknowledgedBy != "Officer Two" {
			t.Errorf("received message is %+v", m)
		}
		if r := w.bravo.report(); r.Unacknowledged != 0 {
			t.Errorf("report is %+v", r)
		}
		w.quiet()
		if m, _ := w.alfa.engine().Get(t.Context(), store.Out, "bravo.example", firstID); m.State != "Acknowledged" || m.AcknowledgedBy != "Officer Two" {
			t.Errorf("sent message is %+v", m)
		}
	})
	bubble(t, "answers_a_repetition_and_refuses_another_officer", func(t *testing.T, w *world) {
		w.alfa.send(request(firstID, "s"))
		w.quiet()
		one := desk.AckRequest{Officer: "Officer One"}
		first, err := w.bravo.engine().Acknowledge(t.Context(), "alfa", firstID, one)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.bravo.engine().Acknowledge(t.Context(), "alfa.example", firstID, one)
		if err != nil || again.ID != first.ID {
			t.Errorf("again: %+v, %v", again, err)
		}
		_, err = w.bravo.engine().Acknowledge(t.Context(), "alfa", firstID, desk.AckRequest{Officer: "Officer Two"})
		if !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "Officer One acknowledged it") {
			t.Errorf("another officer: %v", err)
		}
		w.quiet()
		w.bravo.proven(w.alfa, 1)
	})
	bubble(t, "refuses_what_cannot_be_acknowledged", func(t *testing.T, w *world) {
		w.alfa.send(request(firstID, "s"))
		w.quiet()
		officer := desk.AckRequest{Officer: "Officer Two"}
		for _, at := range [][2]string{{"alfa", "01J0000000000000000000000Z"}, {"charlie", firstID}} {
			if _, err := w.bravo.engine().Acknowledge(t.Context(), at[0], at[1], officer); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v: %v", at, err)
			}
		}
		var invalid *desk.InvalidError
		if _, err := w.bravo.engine().Acknowledge(t.Context(), "alfa", firstID, desk.AckRequest{Officer: " "}); !errors.As(err, &invalid) {
			t.Errorf("without an officer: %v", err)
		}
		w.bravo.acknowledge(firstID)
		w.quiet()
		ack := w.alfa.list(store.In)[0]
		if _, err := w.alfa.engine().Acknowledge(t.Context(), "bravo", ack.ID, officer); !errors.As(err, &invalid) {
			t.Errorf("an ACK of an ACK: %v", err)
		}
	})
}

func TestList(t *testing.T) {
	bubble(t, "pages_newest_first_without_signed_forms", func(t *testing.T, w *world) {
		for i := range 3 {
			w.alfa.send(request(ulidFor(0, i), "s"))
			<-time.After(time.Minute)
		}
		q := store.MessageQuery{Direction: store.Out, Peer: "bravo", Limit: 2}
		first, err := w.alfa.engine().List(t.Context(), q)
		if err != nil || len(first.Messages) != 2 || first.Next == 0 || first.Messages[0].Serial != 3 || first.Messages[0].Receipt != "" {
			t.Errorf("first page: %+v, %v", first, err)
		}
		q.Before = first.Next
		if second, err := w.alfa.engine().List(t.Context(), q); err != nil || len(second.Messages) != 1 || second.Next != 0 {
			t.Errorf("second page: %+v, %v", second, err)
		}
		var invalid *desk.InvalidError
		if _, err := w.alfa.engine().List(t.Context(), store.MessageQuery{Direction: "up", Before: -1}); !errors.As(err, &invalid) || len(invalid.Faults) != 3 {
			t.Errorf("bad query: %v", err)
		}
		if _, err := w.alfa.engine().Get(t.Context(), store.In, "bravo", firstID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown message: %v", err)
		}
	})
}
