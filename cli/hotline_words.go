// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// late tells whether a deadline has passed; there may be none.
func (o *options) late(due time.Time) bool { return !due.IsZero() && o.now().After(due) }

// deadline says in words how a deadline that nothing has met yet stands.
func (o *options) deadline(due time.Time) string {
	switch {
	case due.IsZero():
		return ""
	case o.late(due):
		return "OVERDUE by " + duration.HumanDuration(o.now().Sub(due))
	}
	return "due in " + duration.HumanDuration(due.Sub(o.now()))
}

// acknowledgement says who read a message, or how its deadline stands.
func (o *options) acknowledgement(m desk.Message) string {
	switch {
	case forRelays(m):
		return ""
	case m.State != stateAcknowledged:
		return o.deadline(m.AcknowledgeDue)
	case m.AcknowledgedBy == "":
		return "read"
	}
	return "read by " + m.AcknowledgedBy + after(m.StoredAt, m.AcknowledgedAt)
}

// receiptOf says when the peer stored a message of ours, or how the deadline stands.
func (o *options) receiptOf(m desk.Message) string {
	switch {
	case m.Direction != relayclient.Out:
		return ""
	case m.ReceiptAt.IsZero():
		return o.deadline(m.ReceiptDue)
	}
	return clock(m.ReceiptAt) + after(m.StoredAt, m.ReceiptAt)
}

// after is how long something took, if the clocks of both sides allow to say so.
func after(from, to time.Time) string {
	if from.IsZero() || to.Before(from) {
		return ""
	}
	return " (after " + duration.HumanDuration(to.Sub(from)) + ")"
}

// exerciseRows say first of all whether a message is a drill, when that is not sure, and where words may look like others.
func exerciseRows(m desk.Message, margin string) (rows [][]string) {
	switch {
	case m.Exercise != "" && m.Suspicious == "":
		rows = append(rows, []string{margin + "EXERCISE:", m.Exercise + ": this message is a test, nothing in it is real"})
	case m.Exercise != "":
		rows = append(rows, []string{margin + "Exercise:", "its sender names the exercise " + m.Exercise})
	}
	if m.Suspicious != "" {
		rows = append(rows, []string{margin + "SUSPICIOUS:", "this message " + m.Suspicious})
	}
	if len(m.MixedScripts) > 0 {
		rows = append(rows, []string{margin + "MIXED SCRIPTS:", "a word mixes letters of several scripts, which may look like another word: " + strings.Join(m.MixedScripts, ", ")})
	}
	return rows
}

// answersTo finds which messages were answered by others of a list: the id of the first answer.
func answersTo(messages []desk.Message) map[string]string {
	answers := map[string]string{}
	for _, m := range slices.Backward(messages) { // the newest comes first
		if m.InReplyTo != "" && !forRelays(m) && answers[m.InReplyTo] == "" {
			answers[m.InReplyTo] = m.ID
		}
	}
	return answers
}

// answerOf says whether a message was answered; "" where nobody asked.
func (o *options) answerOf(m desk.Message, answers map[string]string) string {
	switch {
	case answers[m.ID] != "":
		return "answered"
	case m.Kind != string(message.Inquiry) && m.AnswerBy.IsZero():
		return ""
	case m.AnswerBy.IsZero():
		return "not answered"
	}
	return "answer " + o.deadline(m.AnswerBy)
}

// notes are what must not be missed about a message, in few words.
func notes(m desk.Message) string {
	var found []string
	if m.Standing != "" {
		found = append(found, strings.ToUpper(m.Standing))
	}
	if m.Suspicious != "" {
		found = append(found, "SUSPICIOUS, may be real")
	}
	if len(m.MixedScripts) > 0 {
		found = append(found, "MIXED SCRIPTS")
	}
	switch {
	case m.Exercise != "" && m.Suspicious == "":
		found = append(found, "EXERCISE "+m.Exercise)
	case m.RSIT == message.TestCode && m.Suspicious == "":
		found = append(found, "test")
	}
	if !known(m.Kind) {
		found = append(found, "kind unknown to this release")
	}
	if len(m.Remarks) > 0 {
		found = append(found, "see remarks")
	}
	return strings.Join(found, ", ")
}

func known(kind string) bool { return slices.Contains(message.Kinds, message.Kind(kind)) }

// kindOf is the kind of a message for people.
func kindOf(m desk.Message) string {
	if !known(m.Kind) {
		return m.Kind + " (kind unknown to this release: read it with -o json, and ask the sender)"
	}
	return m.Kind
}

// markedBy says what a later message did to one, in one line.
func markedBy(k desk.Mark) string {
	what := map[string]string{"CORRECT": "corrected by ", "CANCEL": "cancelled by ", "EXTEND": "extended by ", "RELEASE": "released by "}[k.Kind]
	if what == "" {
		what = k.Kind + " by "
	}
	line := what + k.ID + " on " + clock(k.At)
	if k.Withdrawn {
		line += ", which was cancelled in its turn"
	}
	return line
}

// caution tells who sends or releases a message what the glossary has against its words.
func (o *options) caution(m desk.Message) {
	for _, w := range m.Warnings {
		fmt.Fprintf(o.ErrOut, "Warning: %s\n", oneLine(w))
	}
}
