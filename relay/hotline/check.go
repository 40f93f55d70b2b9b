// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// deskKinds are the kinds that an officer can send; the relay makes the others.
var deskKinds = []message.Kind{
	message.Inquiry, message.Answer, message.Notification, message.Preserve, message.PreserveAck, message.Extend, message.Release,
	message.Document, message.TermKind, message.Correct, message.Cancel,
}

// faults collects what is wrong, field by field.
type faults []desk.Fault

func (f *faults) require(ok bool, field, reason string, args ...any) {
	if !ok {
		*f = append(*f, desk.Fault{Field: field, Reason: fmt.Sprintf(reason, args...)})
	}
}

// check is what holds for every message, sent or received.
func check(p *Payload) faults {
	invalid, _ := errors.AsType[*message.InvalidError](p.Check())
	if invalid == nil {
		return nil
	}
	return forDesk(invalid)
}

// forDesk names the members as requests of the desk do.
func forDesk(e *message.InvalidError) faults {
	out := make(faults, len(e.Faults))
	for i, f := range e.Faults {
		out[i] = desk.Fault{Field: deskField(f.Field), Reason: f.Reason}
	}
	return out
}

// oneLine makes text of the other side fit for a report or a log.
func oneLine(s string) string {
	const longest = 300
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// deskField is the name of a payload's member in a request.
func deskField(member string) string {
	switch member {
	case "in_reply_to":
		return "inReplyTo"
	case "answer_by":
		return "answerBy"
	}
	return member
}
