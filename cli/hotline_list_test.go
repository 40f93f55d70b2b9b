// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// talk is a conversation, the newest first, as the relay lists it.
func talk() []desk.Message {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	inquiry := received()
	inquiry.CreatedAt, inquiry.StoredAt, inquiry.AcknowledgeDue, inquiry.RSIT = at(-10), at(-10), at(-5), "availability:outage"
	inquiry.Standing, inquiry.Marks = desk.Corrected, []desk.Mark{
		{Kind: "CORRECT", ID: "01J0000000000000000000000C", Serial: 6, At: at(-8)},
		{Kind: "CANCEL", ID: "01J0000000000000000000000D", Serial: 5, At: at(-9), Withdrawn: true},
	}
	answer := inquiry
	answer.Direction, answer.ID, answer.Kind, answer.Precedence, answer.Serial = "out", "01J0000000000000000000000E", "ANSWER", "IMMEDIATE", 2
	answer.Standing, answer.Marks, answer.InReplyTo, answer.Officer = "", nil, inquiry.ID, "alfa-duty"
	answer.CreatedAt, answer.StoredAt, answer.ReceiptAt, answer.State = at(-7), at(-7), time.Time{}, "Queued"
	answer.ReceiptDue, answer.AcknowledgeDue, answer.AnswerBy = at(-6), at(8), at(60)
	answer.ReleasedBy = []message.ReleaseBy{{Officer: "alfa-duty", At: at(-8)}, {Officer: "alfa-chief\u202e", At: at(-7)}}
	fix := inquiry
	fix.ID, fix.Kind, fix.Serial, fix.Standing, fix.Marks = "01J0000000000000000000000C", "CORRECT", 6, "", nil
	fix.References = []message.Reference{{ID: inquiry.ID}, {ID: "01J0000000000000000000000Z"}}
	fix.Remarks = []string{"it is about 01J0000000000000000000000Z, which is not here yet"}
	fix.StoredAt, fix.CreatedAt, fix.AcknowledgeDue = at(-8), at(-8), at(2)
	read := inquiry
	read.ID, read.Precedence, read.Standing, read.Marks, read.RSIT = "01J0000000000000000000000F", "ROUTINE", "", nil, message.TestCode
	read.State, read.AcknowledgedBy, read.AcknowledgedAt = "Acknowledged", "alfa-duty", at(-9)
	unknown := inquiry
	unknown.ID, unknown.Kind, unknown.Precedence, unknown.Standing, unknown.Marks = "01J0000000000000000000000G", "OF_THE_FUTURE", "PRIORITY", "", nil
	unknown.AcknowledgeDue = at(50)
	ack := inquiry
	ack.ID, ack.Kind, ack.Text, ack.Subject, ack.InReplyTo, ack.Standing, ack.Marks = "01J0000000000000000000000H", "ACK", "", "", answer.ID, "", nil
	check := inquiry
	check.ID, check.Kind, check.RSIT, check.Standing, check.Marks = "01J0000000000000000000000J", "LINE_CHECK", message.TestCode, "", nil
	return []desk.Message{check, ack, unknown, read, answer, fix, inquiry}
}

// office is a relay with these messages.
func office(t *testing.T, all []desk.Message) *relayclient.Client {
	return relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, list := r.URL.Query(), desk.MessageList{Messages: []desk.Message{}}
		if parts := strings.Split(r.URL.Path, "/"); len(parts) == 6 {
			for _, m := range all {
				if m.ID == parts[5] {
					_ = json.NewEncoder(w).Encode(m)
				}
			}
			return
		}
		for _, m := range all {
			for key, value := range map[string]string{"id": m.ID, "conversation": m.Conversation, "direction": m.Direction, "kind": m.Kind, "peer": m.Peer} {
				if want := query.Get(key); want != "" && want != value {
					m.ID = ""
				}
			}
			if m.ID != "" && (query.Get("unread") == "" || m.State == "Received" && m.Kind != "ACK") {
				list.Messages = append(list.Messages, m)
			}
		}
		_ = json.NewEncoder(w).Encode(list)
	}))
}

func TestTheInboxShowsWhatWaitsFirst(t *testing.T) {
	for name, test := range map[string]struct {
		flags    inboxFlags
		messages []desk.Message
	}{
		"inbox-night.txt":   {inboxFlags{limit: 50}, talk()},
		"inbox-unread.txt":  {inboxFlags{limit: 50, unread: true}, talk()},
		"inbox-sent.txt":    {inboxFlags{limit: 50, sent: true}, talk()},
		"inbox-nothing.txt": {inboxFlags{limit: 50}, nil},
		"inbox-night.json":  {inboxFlags{limit: 2, output: asJSON}, talk()},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			if err := o.inbox(t.Context(), office(t, test.messages), &test.flags); err != nil {
				t.Fatal(err)
			}
			golden(t, name, s.out.String())
		})
	}
}

func TestAConversationIsShownInOrder(t *testing.T) {
	for name, test := range map[string]struct {
		id    string
		flags threadFlags
		err   string
	}{
		"thread.txt":       {"01J0000000000000000000000E", threadFlags{limit: 50}, ""},
		"thread-brief.txt": {"01J0000000000000000000000A", threadFlags{limit: 50, brief: true, peer: "bravo.example"}, ""},
		"nowhere":          {"01J00000000000000000000099", threadFlags{limit: 50}, "no message \"01J00000000000000000000099\" is here"},
		"no such talk":     {"talk", threadFlags{limit: 50, peer: "bravo.example"}, "no conversation \"talk\""},
		"no room":          {"talk", threadFlags{}, "--limit 0 is less than 1"},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			expect(t, o.thread(t.Context(), office(t, talk()), test.id, &test.flags), test.err)
			if test.err == "" {
				golden(t, name, s.out.String())
			}
		})
	}
}

func TestAMessageIsShownWithWhatWasSaidAboutIt(t *testing.T) {
	all := talk()
	for name, m := range map[string]desk.Message{"message-corrected.txt": all[6], "message-unknown.txt": all[2], "message-overdue.txt": all[4], "message-correction.txt": all[5]} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			if err := o.printMessage(o.Out, m); err != nil {
				t.Fatal(err)
			}
			golden(t, name, s.out.String())
		})
	}
}

// hostile is text by which a peer might act on our terminal.
const hostile = "a\x1b[2Jb\x9bc\u202ed\u2066e\u200bf\ufeffg\u061ch\U000e0041i\u00adj\u2028k\rl\x07m\x7fn\u200do"

func TestNothingOfAPeerReachesTheTerminalUnseen(t *testing.T) {
	all := talk()
	for i := range all {
		m := &all[i]
		m.Subject, m.Text, m.Officer, m.PeerName, m.Kind, m.Precedence, m.AcknowledgedBy = hostile, hostile, hostile, hostile, m.Kind+hostile, m.Precedence+hostile, hostile
		m.Translations = []message.Translation{{Language: hostile, Text: hostile, Subject: hostile, Translator: hostile}}
		m.Exercise, m.Suspicious = hostile, hostile
		m.Remarks, m.Conversation, m.Term = []string{hostile}, "c"+hostile, &message.Term{Name: hostile, Language: hostile}
	}
	o, s := setup(t)
	json, yaml := inboxFlags{limit: 50, output: asJSON}, inboxFlags{limit: 50, output: asYAML}
	show := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.out.String() {
			if hidden(r) && r != '\n' {
				t.Fatalf("%U in:\n%q", r, s.out.String())
			}
		}
		s.out.Reset()
	}
	show(o.printMessages(all))
	show(o.printInbox(all, len(all), nil))
	show(o.printThread(all, false))
	show(o.printMessage(o.Out, all[0]))
	show(o.inbox(t.Context(), office(t, all), &json))
	show(o.inbox(t.Context(), office(t, all), &yaml))
}

func TestHiddenCharactersSurviveInJSON(t *testing.T) {
	o, s := setup(t)
	f := asJSON
	if err := f.document(o.Out, desk.Message{Text: hostile}); err != nil {
		t.Fatal(err)
	}
	y, written := asYAML, bytes.Buffer{}
	var fromYAML desk.Message
	if err := errors.Join(y.document(&written, desk.Message{Text: hostile}), yaml.Unmarshal(written.Bytes(), &fromYAML)); err != nil {
		t.Fatal(err)
	}
	if fromYAML.Text != strings.ToValidUTF8(hostile, "\ufffd") {
		t.Errorf("YAML gives back %q of\n%s", fromYAML.Text, written.String())
	}
	var back desk.Message
	if err := json.Unmarshal(s.out.Bytes(), &back); err != nil || back.Text != strings.ToValidUTF8(hostile, "\ufffd") {
		t.Errorf("got %q, %v", back.Text, err)
	}
}

func TestWarningsOfTheGlossaryAreTold(t *testing.T) {
	o, s := setup(t)
	o.caution(desk.Message{Warnings: []string{"\"attack\" (en): the two sides disagree\x1b"}})
	if want := "Warning: \"attack\" (en): the two sides disagree\ufffd\n"; s.errOut.String() != want {
		t.Errorf("got %q", s.errOut.String())
	}
}

func TestAPeerThatIsMisspeltIsNoPeerWithoutMessages(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var left desk.MessageList
		if r.URL.Query().Get("peer") == "delta.example" {
			left.Messages = []desk.Message{received()}
		}
		_ = json.NewEncoder(w).Encode(left)
	}))
	bravo := &v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Namespace: "duty", Name: "bravo"}}
	bravo.Spec.Identity.TrustDomain = "bravo.example"
	for peer, want := range map[string]string{
		"": "", "bravo": "", "bravo.example": "", "delta.example": "",
		"bravoo": `our relay has no peer "bravoo", and no messages of one: see kubectl get pcert`,
	} {
		f := inboxFlags{peer: peer}
		expect(t, f.knowsPeer(t.Context(), newSession(t, "", bravo), relay), want)
	}
}
