// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"strings"
	"testing"
	"time"

	relayreport "github.com/certlink/certlink/relay/report"
)

func TestEscalatingNamesMessageAndStepOrTheNotifierThatFails(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	open := func(stage string, n int64) *relayreport.Escalation {
		return &relayreport.Escalation{Open: n, Stage: stage, Step: "wake", Message: "01J0A", Direction: "out", At: at}
	}
	failing := open("Receipt", 1)
	failing.Failing = []relayreport.FailingNotifier{{Name: "pager", Waiting: 2, Since: at, Error: "no connection: see the network"}}
	full := &relayreport.Escalation{Error: "our own storage is full"}
	for name, tt := range map[string]struct {
		said   *relayreport.Escalation
		reason string
		says   []string
	}{
		"nothing":          {nil, "", nil},
		"no receipt":       {open("Receipt", 1), "ReceiptEscalated", []string{`step "wake"`, "01J0A", "2026-01-02T03:04:05Z", "telephone"}},
		"not read":         {open("Acknowledgement", 3), "AcknowledgementEscalated", []string{"3 messages in all"}},
		"not answered":     {open("Answer", 1), "AnswerEscalated", nil},
		"not read by us":   {open("Inbox", 1), "InboxEscalated", []string{"read and acknowledge it"}},
		"a deaf notifier":  {failing, "NotifierFailing", []string{`notifier "pager"`, "no connection", "01J0A"}},
		"no room":          {full, "EscalationUnrecorded", []string{"storage is full"}},
		"an empty account": {&relayreport.Escalation{}, "", nil},
	} {
		reason, message := escalation(tt.said)
		if reason != tt.reason {
			t.Errorf("%s: reason %q", name, reason)
		}
		for _, want := range tt.says {
			if !strings.Contains(message, want) {
				t.Errorf("%s: %q does not say %q", name, message, want)
			}
		}
	}
}

func TestAnAnswerThatIsOverdueIsToldApart(t *testing.T) {
	fact, late := unanswered(&relayreport.Hotline{OverdueAnswers: 1}, "bravo")
	if !late || fact.Reason != "AnswerOverdue" || fact.Status != "False" || !strings.Contains(fact.Message, "bravo") {
		t.Errorf("%+v", fact)
	}
	if _, late := unanswered(&relayreport.Hotline{}, "bravo"); late {
		t.Error("nothing is late")
	}
}
