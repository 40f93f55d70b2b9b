// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// oneLine makes text of others fit for a header, a label or a line.
func oneLine(s string, longest int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// paragraphs keeps lines and tabs, and no other control characters.
func paragraphs(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// summary is a notification in one line, without a word that the peer wrote freely.
func summary(n Notification) string {
	if n.Event == Test {
		return fmt.Sprintf("TEST of a notifier of hotline %s: nothing to do", n.Hotline)
	}
	switch len(n.Items) {
	case 0:
		return fmt.Sprintf("%s: hotline %s", n.Event, n.Hotline)
	case 1:
		return line(n, n.Items[0])
	}
	return fmt.Sprintf("%s%s: %d messages of hotline %s%s; the first: %s", mark(n), n.Event, len(n.Items), n.Hotline, exercised(n), line(n, n.Items[0]))
}

// mark is what a summary begins with when nothing of it is real.
func mark(n Notification) string {
	if n.exercise() {
		return "EXERCISE "
	}
	return ""
}

// exercised says how many items are not real, if some are.
func exercised(n Notification) string {
	count := 0
	for _, i := range n.Items {
		if i.Exercise != "" {
			count++
		}
	}
	if count == 0 || count == len(n.Items) {
		return ""
	}
	return fmt.Sprintf(", %d of them of an EXERCISE", count)
}

// line is an item in one line.
func line(n Notification, i Item) string {
	what := strings.TrimSpace(oneLine(i.Precedence, 32) + " " + oneLine(i.Kind, 32))
	if i.Exercise != "" {
		what = "EXERCISE " + what
	}
	if n.Event == Delivered {
		return fmt.Sprintf("%s of %s has arrived (%s)", what, n.Peer, i.Message)
	}
	if n.Event == Settled {
		if i.Exercise != "" {
			return fmt.Sprintf("EXERCISE Over: %s %s (%s)", strings.TrimPrefix(what, "EXERCISE "), silence(n, i), i.Message)
		}
		return fmt.Sprintf("Over: %s %s (%s)", what, silence(n, i), i.Message)
	}
	return fmt.Sprintf("%s %s (%s), step %s", what, silence(n, i), i.Message, i.Step)
}

// silence says who is silent.
func silence(n Notification, i Item) string {
	switch i.Stage {
	case "Receipt":
		return "to " + n.Peer + " has no receipt"
	case "Acknowledgement":
		return "to " + n.Peer + " is not acknowledged"
	case "Answer":
		return "to " + n.Peer + " is not answered"
	case "Inbox":
		return "of " + n.Peer + " is not acknowledged by our own desk"
	}
	return "with " + n.Peer
}

// advice says what to do.
func advice(n Notification, i Item) string {
	switch {
	case n.Event == Settled:
		return "Nothing more to do."
	case n.Event == Delivered, i.Stage == "Inbox":
		return fmt.Sprintf("Read and acknowledge it: kubectl certlink hotline show %[1]s; kubectl certlink hotline ack %[1]s", i.Message)
	case i.Stage == "Receipt":
		return "It stays queued and goes out by itself. If it is urgent, reach the peer by telephone: kubectl get peercert " + n.Peer + " -o yaml, spec.identity.contact"
	}
	return "It is stored at theirs. Reach their duty officer by telephone: kubectl get peercert " + n.Peer + " -o yaml, spec.identity.contact"
}

// describe is an item in full.
func describe(n Notification, i Item) string {
	var b strings.Builder
	fmt.Fprintln(&b, line(n, i))
	when := func(name string, t time.Time) {
		if !t.IsZero() {
			fmt.Fprintf(&b, "%s: %s\n", name, t.UTC().Format(time.RFC3339))
		}
	}
	word := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, oneLine(value, 256))
		}
	}
	word("Exercise", i.Exercise)
	word("TLP", i.TLP)
	word("Conversation", i.Conversation)
	when("Stored", i.StoredAt)
	when("Deadline", i.Deadline)
	if i.Occurrence > 1 {
		fmt.Fprintf(&b, "Told for the %d. time\n", i.Occurrence)
	}
	word("Subject", i.Subject)
	if i.Text != "" {
		fmt.Fprintf(&b, "\n%s\n\n", paragraphs(i.Text))
	}
	fmt.Fprintln(&b, advice(n, i))
	return b.String()
}

// body of a mail.
func body(n Notification) string {
	var b strings.Builder
	if n.Event == Test {
		fmt.Fprintf(&b, "This is a TEST of a notifier of the hotline %s of %s. There is nothing to do.\n\nTest: %s\n", n.Hotline, n.From, n.ID)
		return b.String()
	}
	for i, item := range n.Items {
		if i > 0 {
			b.WriteString("\n---\n\n")
		}
		b.WriteString(describe(n, item))
	}
	fmt.Fprintf(&b, "\nFrom the hotline %s of %s to %s. Notification %s.\n", n.Hotline, n.From, n.PeerDomain, n.ID)
	return b.String()
}

// urgent tells whether somebody is to be woken.
func urgent(n Notification) bool {
	if n.Event == Settled {
		return false
	}
	for _, i := range n.Items {
		if i.Exercise == "" && severity(i.Precedence) == "critical" {
			return true
		}
	}
	return false
}
