// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// escalated says what was escalated, or which notifier does not take it. While the
// relay's report cannot be read, the last word stands.
func escalated(line *relayreport.Hotline, edit *status.Editor) {
	if line == nil {
		return
	}
	reason, message := escalation(line.Escalation)
	edit.While(v1alpha1.ConditionEscalating, reason != "", reason, message)
}

// escalation is the reason and the message; empty for none. What people can mend comes
// before what they must answer: a notifier that fails hides that somebody is silent.
func escalation(e *relayreport.Escalation) (reason, message string) {
	if e == nil {
		return "", ""
	}
	var parts []string
	note := func(why, text string) {
		if reason == "" {
			reason = why
		}
		parts = append(parts, text)
	}
	if e.Error != "" {
		note(v1alpha1.ReasonEscalationUnrecorded, e.Error)
	}
	for _, f := range e.Failing {
		note(v1alpha1.ReasonNotifierFailing, fmt.Sprintf("notifier %q does not take what it is told since %s: %s", f.Name, f.Since.UTC().Format(time.RFC3339), f.Error))
	}
	if e.Open > 0 {
		note(stageReason(e.Stage), fmt.Sprintf("step %q was taken at %s about message %s (%s): %s%s", e.Step, e.At.UTC().Format(time.RFC3339), e.Message, e.Stage, advice(e.Stage), others(e.Open)))
	}
	return reason, strings.Join(parts, "; ")
}

func stageReason(stage string) string {
	switch v1alpha1.EscalationStage(stage) {
	case v1alpha1.StageReceipt:
		return v1alpha1.ReasonReceiptEscalated
	case v1alpha1.StageAnswer:
		return v1alpha1.ReasonAnswerEscalated
	case v1alpha1.StageInbox:
		return v1alpha1.ReasonInboxEscalated
	}
	return v1alpha1.ReasonAcknowledgementEscalated
}

func advice(stage string) string {
	if v1alpha1.EscalationStage(stage) == v1alpha1.StageInbox {
		return "read and acknowledge it"
	}
	return "reach the peer by telephone"
}

func others(open int64) string {
	if open < 2 {
		return ""
	}
	return fmt.Sprintf("; %d messages in all", open)
}

// unanswered is the fact about answers that are overdue; false if none is.
func unanswered(line *relayreport.Hotline, peer string) (status.Fact, bool) {
	if line.OverdueAnswers == 0 {
		return status.Fact{}, false
	}
	return status.Fact{
		Status:  metav1.ConditionFalse,
		Reason:  v1alpha1.ReasonAnswerOverdue,
		Message: fmt.Sprintf("messages of ours that ask for an answer of %s have none, and their deadline has passed; reach the peer by telephone", peer),
	}, true
}

// secretFault says which Secret of a notifier is not to be had; nil if none.
func (s *seen) secretFault() *status.Verdict {
	if fault := relayconfig.ReservedFault(s.references, s.local.Name); fault != nil {
		return fault
	}
	return relayconfig.ReferenceFault(s.references, s.there)
}
