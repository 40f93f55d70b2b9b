// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"fmt"
	"strings"

	"github.com/certlink/certlink/relay/message"
)

// Prefix begins the subject of every message of an exercise.
const Prefix = "EXERCISE EXERCISE EXERCISE"

// Conversation begins the name of the conversation of a drill.
const Conversation = "exercise-"

// Subject is a subject with Prefix, once.
func Subject(subject string) string {
	if strings.HasPrefix(subject, Prefix) {
		return subject
	}
	return strings.TrimSpace(Prefix + " " + subject)
}

// Mark makes a message of ours one of the exercise that its sender names, or refuses it: of
// is the exercise that its conversation belongs to, "" for none. begun tells that the
// conversation has messages. An acknowledgement follows its conversation. The refusal names
// the field of the request.
func Mark(m *message.Message, of string, begun bool) (field, reason string) {
	if m.Kind == message.ACK {
		m.Exercise = of
	}
	switch {
	case m.Exercise == "" && of != "":
		return "exercise", fmt.Sprintf("the conversation belongs to the exercise %q: name it to answer within, or begin another conversation for what is real", of)
	case m.Exercise != "" && of == "" && begun:
		return "conversation", "is a real one: an exercise has conversations of its own"
	case m.Exercise != of && of != "":
		return "exercise", fmt.Sprintf("the conversation belongs to the exercise %q", of)
	case m.Exercise == "" && strings.HasPrefix(strings.ToUpper(strings.TrimSpace(m.Subject)), "EXERCISE EXERCISE"):
		return "subject", "begins as that of an exercise: name the exercise, or change the subject"
	case m.Exercise == "":
		return "", ""
	case m.RSIT != "" && m.RSIT != message.TestCode:
		return "rsit", "must be " + message.TestCode + " in an exercise, or left out"
	}
	m.RSIT = message.TestCode
	if m.Kind != message.ACK {
		m.Subject = Subject(m.Subject)
	}
	return "", ""
}

// Suspicious says what does not fit together in a message of the peer; "" if all does. of
// is the exercise that we know its conversation to belong to.
func Suspicious(m *message.Message, of string) string {
	switch {
	case m.Exercise != "" && m.RSIT != message.TestCode:
		return "names an exercise, but is not coded as a test: take it for real"
	case m.Exercise != "" && of == "":
		return "names an exercise, but stands in a conversation that was not begun as one: take it for real until the peer says otherwise"
	case m.Exercise == "" && m.RSIT == message.TestCode && m.Kind != message.LineCheckKind:
		return "is coded as a test, but names no exercise: take it for real until the peer says otherwise"
	case m.Exercise == "" && of != "":
		return fmt.Sprintf("stands in a conversation of the exercise %q, but names none: take it for real", of)
	case m.Exercise != "" && of != "" && m.Exercise != of:
		return fmt.Sprintf("names another exercise than its conversation, %q", of)
	case m.Exercise == "" && strings.HasPrefix(strings.ToUpper(strings.TrimSpace(m.Subject)), "EXERCISE"):
		return "says exercise in its subject only: take it for real until the peer says otherwise"
	}
	return ""
}

// Shown is the subject as people see it.
func Shown(m *message.Message) string {
	if m.Exercise == "" {
		return m.Subject
	}
	return Subject(m.Subject)
}
