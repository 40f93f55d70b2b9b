// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

func received() desk.Message {
	return desk.Message{
		Direction: "in", Hotline: "bravo", Peer: "bravo.example", PeerName: "CERT Bravo", ID: "01J0000000000000000000000A",
		Serial: 4, Conversation: "01J0000000000000000000000A", Kind: "INQUIRY", Precedence: "FLASH", TLP: "AMBER",
		Subject: "Outage\x1b[2J", Text: "Line one.\nLine \u202etwo.", Language: "en", Officer: "bravo-duty",
		CreatedAt: noon.Add(-time.Minute), StoredAt: noon.Add(-59 * time.Second), ReceiptAt: noon.Add(-59 * time.Second), State: "Received",
	}
}

func TestMessagesOutput(t *testing.T) {
	sent := received()
	sent.Direction, sent.ID, sent.State, sent.Subject, sent.PeerName = "out", "01J0000000000000000000000B", "Acknowledged", "", ""
	sent.InReplyTo, sent.AcknowledgedAt, sent.AcknowledgedBy = "01J0000000000000000000000A", noon, "bravo-duty"
	t.Run("a_table_is_one_line_each_without_control_characters", func(t *testing.T) {
		o, s := setup(t)
		if err := o.printMessages([]desk.Message{received(), sent}); err != nil {
			t.Fatal(err)
		}
		golden(t, "inbox.txt", s.out.String())
	})
	for name, message := range map[string]desk.Message{"message-received.txt": received(), "message-sent.txt": sent} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			if err := o.printMessage(o.Out, message); err != nil {
				t.Fatal(err)
			}
			golden(t, name, s.out.String())
		})
	}
}

func TestInboxCollects(t *testing.T) {
	page := func(next int64, ids ...string) desk.MessageList {
		list := desk.MessageList{Next: next}
		for _, id := range ids {
			m := desk.Message{ID: strings.TrimSuffix(id, "!"), Kind: "NOTIFICATION", State: "Received"}
			if strings.HasSuffix(id, "!") {
				m.State = "Acknowledged"
			}
			list.Messages = append(list.Messages, m)
		}
		return list
	}
	pages := map[int64]desk.MessageList{0: page(5, "9!", "8"), 5: page(2, "4", "3!"), 2: page(0, "1")}
	for name, test := range map[string]struct {
		flags inboxFlags
		want  []string
	}{
		"all_pages":                    {inboxFlags{limit: 50}, []string{"9", "8", "4", "3", "1"}},
		"no_more_than_the_limit":       {inboxFlags{limit: 3}, []string{"9", "8", "4"}},
		"unread_ones_across_all_pages": {inboxFlags{limit: 50, unread: true}, []string{"8", "4", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			messages, err := test.flags.collect(func(s relayclient.Selection) (desk.MessageList, error) { return pages[s.Before], nil })
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range messages {
				got = append(got, m.ID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSendChecksItsFlagsAtOnce(t *testing.T) {
	good := func() *sendFlags {
		f := &sendFlags{}
		f.request = desk.SendRequest{Subject: "s", Precedence: "FLASH", TLP: "RED"}
		return f
	}
	for name, test := range map[string]struct {
		change func(*sendFlags)
		want   []string
	}{
		"accepts_what_is_right": {change: func(*sendFlags) {}},
		"tells_all_faults_together": {
			change: func(f *sendFlags) {
				f.request = desk.SendRequest{Precedence: "LOUD", TLP: "PINK", Kind: "ACK"}
				f.wait = "long"
			},
			want: []string{"--subject is missing", `--precedence "LOUD"`, `--tlp "PINK"`, `--kind "ACK"`, `--wait "long"`},
		},
		"an_answer_is_to_something":       {change: func(f *sendFlags) { f.request.Kind = "ANSWER" }, want: []string{"--reply-to is missing: the id of the received message that this ANSWER is to"}},
		"a_correction_is_about_something": {change: func(f *sendFlags) { f.request.Kind = "CORRECT" }, want: []string{"--about is missing"}},
		"a_request_to_preserve_says_what": {change: func(f *sendFlags) { f.request.Kind = "PRESERVE" }, want: []string{"--preserve is missing"}},
		"an_extension_is_both":            {change: func(f *sendFlags) { f.request.Kind = "EXTEND" }, want: []string{"--about is missing", "--preserve is missing"}},
		"needs_no_precedence":             {change: func(f *sendFlags) { f.request.Precedence = "" }},
		"bounds_the_subject":              {change: func(f *sendFlags) { f.request.Subject = strings.Repeat("s", 513) }, want: []string{"longer than 512 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			test.change(f)
			err := f.check()
			if len(test.want) == 0 {
				expect(t, err, "")
			}
			for _, want := range test.want {
				expect(t, err, want)
			}
		})
	}
}

func TestAnAnswerAndACorrectionAreAsUrgentAsWhatTheyAreAbout(t *testing.T) {
	flash, patient := received(), received()
	patient.ID, patient.Precedence = "01J0000000000000000000000B", "PRIORITY"
	relay := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == desk.PathMessages {
			_ = json.NewEncoder(w).Encode(desk.MessageList{Messages: []desk.Message{flash, patient}})
			return
		}
		found := flash
		if strings.HasSuffix(r.URL.Path, patient.ID) {
			found = patient
		}
		_ = json.NewEncoder(w).Encode(found)
	}))
	for name, test := range map[string]struct {
		kind, replyTo, asked string
		about                []string
		want                 string
	}{
		"an_answer":                             {replyTo: flash.ID, want: "FLASH"},
		"an_answer_that_can_wait":               {replyTo: flash.ID, asked: "PRIORITY", want: "PRIORITY"},
		"a_correction":                          {kind: "CORRECT", about: []string{flash.ID}, want: "FLASH"},
		"a_cancellation":                        {kind: "CANCEL", about: []string{flash.ID}, want: "FLASH"},
		"a_cancellation_of_patience":            {kind: "CANCEL", asked: "ROUTINE", about: []string{flash.ID}, want: "ROUTINE"},
		"of_several_the_most_urgent_counts":     {kind: "CANCEL", about: []string{patient.ID, flash.ID}, want: "FLASH"},
		"a_correction_answers_something_urgent": {kind: "CORRECT", replyTo: flash.ID, about: []string{patient.ID}, want: "PRIORITY"},
		"an_urgent_correction_answers":          {kind: "CORRECT", replyTo: patient.ID, about: []string{flash.ID}, want: "FLASH"},
		"an_answer_with_a_reference":            {replyTo: patient.ID, about: []string{flash.ID}, want: "PRIORITY"},
		"a_release_of_data":                     {kind: "RELEASE", about: []string{flash.ID}, want: "ROUTINE"},
		"anything_else":                         {kind: "NOTIFICATION", want: "ROUTINE"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &sendFlags{replyTo: test.replyTo, request: desk.SendRequest{Kind: test.kind, Precedence: test.asked}}
			for _, id := range test.about {
				f.request.References = append(f.request.References, message.Reference{ID: id})
			}
			expect(t, errors.Join(f.answers(t.Context(), relay), f.urgency(t.Context(), relay)), "")
			if f.request.Precedence != test.want {
				t.Errorf("it goes as %s, want %s", f.request.Precedence, test.want)
			}
		})
	}
}

func TestTheContentOfAMessageIsReadFromItsFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fr.txt")
	if err := os.WriteFile(file, []byte("texte"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args string
		want desk.SendRequest
		err  string
	}{
		"nothing": {},
		"all": {
			args: "--rsit test:test --about 01J --translation fr=" + file + " --answer-within 2h --preserve logs --case A-1 --until 2026-07-04",
			want: desk.SendRequest{
				RSIT: "test:test", References: []message.Reference{{ID: "01J"}}, AnswerBy: noon.Add(2 * time.Hour),
				Translations: []message.Translation{{Language: "fr", Text: "texte"}},
				Preserve:     &message.Preserved{Items: []string{"logs"}, Case: "A-1", Until: time.Date(2026, 7, 4, 0, 0, 0, 0, time.UTC)},
			},
		},
		"a code that nobody knows":         {args: "--rsit cake", err: `--rsit "cake" is no class`},
		"a translation without a language": {args: "--translation " + file, err: "must be LANGUAGE=FILE"},
		"a translation that is not there":  {args: "--translation fr=/nowhere", err: "reading a translation"},
		"a day of no calendar":             {args: "--preserve x --until 4.7.", err: "must be a day, YYYY-MM-DD"},
		"a case without what is preserved": {args: "--case A-1", err: "--preserve is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			var f contentFlags
			var got desk.SendRequest
			cmd := &cobra.Command{}
			f.addTo(cmd, &got)
			if err := cmd.ParseFlags(strings.Fields(test.args)); err != nil {
				t.Fatal(err)
			}
			err := f.fill(&got, noon)
			expect(t, err, test.err)
			if diff := cmp.Diff(test.want, got); test.err == "" && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTextIsReadOnceAndBounded(t *testing.T) {
	for name, test := range map[string]struct{ in, text, want, err string }{
		"from_the_flag":       {in: "other", text: "flag", want: "flag"},
		"from_standard_input": {in: "line\n", want: "line\n"},
		"not_empty":           {in: " \n", err: "the text in standard input is empty"},
		"not_too_long":        {in: strings.Repeat("x", desk.MaxTextBytes+1), err: "longer than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			s.in.WriteString(test.in)
			f := &sendFlags{request: desk.SendRequest{Text: test.text}}
			expect(t, o.readText(f), test.err)
			if test.err == "" && f.request.Text != test.want {
				t.Errorf("got %q, want %q", f.request.Text, test.want)
			}
		})
	}
}

func TestAwait(t *testing.T) {
	states := []string{"Queued", "Stored", "Acknowledged"}
	asked := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		m := desk.Message{Direction: "out", Peer: "bravo.example", ID: "01J", State: states[min(asked, len(states)-1)], ReceiptAt: noon, AcknowledgedAt: noon.Add(time.Second), AcknowledgedBy: "bravo-duty"}
		asked++
		json.NewEncoder(w).Encode(m)
	})
	client := relaytest.Desk(t, handler)
	message := desk.Message{Peer: "bravo.example", ID: "01J", State: "Queued"}
	t.Run("tells_the_receipt_then_the_acknowledgement", func(t *testing.T) {
		o, s := setup(t)
		last, err := o.await(t.Context(), client, message, &sendFlags{wait: waitAcknowledgement})
		if err != nil || last.State != "Acknowledged" {
			t.Fatalf("got %q, %v", last.State, err)
		}
		golden(t, "await.txt", s.out.String())
	})
	t.Run("says_that_the_message_goes_on_when_time_is_over", func(t *testing.T) {
		o, _ := setup(t)
		asked, states = 0, []string{"Queued"}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := o.await(ctx, client, message, &sendFlags{wait: waitReceipt})
		expect(t, err, "no receipt for message 01J yet: it stays on stable storage and goes on")
	})
	t.Run("says_why_it_cannot_tell", func(t *testing.T) {
		o, _ := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var asked atomic.Int32
		gone := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) > 1 { // it knows the answer to the first
				cancel()
			}
			w.WriteHeader(http.StatusForbidden)
		}))
		_, err := o.await(ctx, gone, message, &sendFlags{wait: waitReceipt})
		expect(t, err, "stays on stable storage")
		expect(t, err, "the relay answered 403")
	})
}
