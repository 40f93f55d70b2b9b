// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/desk"
)

// largestSerial is the largest integer that every JSON reader keeps exactly.
const largestSerial = 1 << 53

var (
	precedences = []string{"FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE"}
	levels      = []string{"CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"}
	deskKinds   = []string{"INQUIRY", "ANSWER", "NOTIFICATION"}

	kindShape         = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}$`)
	conversationShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	languageShape     = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$`)
)

// faults collects what is wrong, field by field.
type faults []desk.Fault

func (f *faults) require(ok bool, field, reason string, args ...any) {
	if !ok {
		*f = append(*f, desk.Fault{Field: field, Reason: fmt.Sprintf(reason, args...)})
	}
}

// check is what holds for every message, sent or received.
func (p *Payload) check() faults {
	var f faults
	f.require(isULID(p.ID), "id", "must be a ULID in upper case")
	f.require(p.Serial >= 1 && p.Serial <= largestSerial, "serial", "must be within 1 to 2^53")
	f.require(conversationShape.MatchString(p.Conversation), "conversation", "must be 1 to 64 letters, digits, dots, dashes or underscores")
	f.require(p.InReplyTo == "" || isULID(p.InReplyTo), "in_reply_to", "must be a ULID in upper case")
	f.require(kindShape.MatchString(p.Kind), "kind", "must be 1 to 32 upper case letters, digits or underscores")
	f.require(p.Kind != KindACK || p.InReplyTo != "", "in_reply_to", "must name the acknowledged message")
	f.require(p.Kind != KindACK || p.Officer != "", "officer", "must name who acknowledges")
	f.require(slices.Contains(precedences, p.Precedence), "precedence", "must be one of %s", strings.Join(precedences, ", "))
	f.require(slices.Contains(levels, p.TLP), "tlp", "must be one of %s", strings.Join(levels, ", "))
	f.require(p.CreatedAt.Year() >= 1970 && p.CreatedAt.Year() <= 9999, "created_at", "must be a time from 1970 on")
	f.require(len(p.Officer) <= desk.MaxOfficerBytes && isLine(p.Officer), "officer", "must be one line of at most %d bytes", desk.MaxOfficerBytes)
	f.require(len(p.Subject) <= desk.MaxSubjectBytes && isLine(p.Subject), "subject", "must be one line of at most %d bytes", desk.MaxSubjectBytes)
	f.require(len(p.Text) <= desk.MaxTextBytes && isText(p.Text), "text", "must be text of at most %d bytes, without control characters", desk.MaxTextBytes)
	f.require(p.Language == "" || languageShape.MatchString(p.Language), "language", "must be a language tag such as en or pt-BR")
	return f
}

func isULID(s string) bool {
	id, err := ulid.ParseStrict(s)
	return err == nil && id.String() == s
}

func isLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r'
	})
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
