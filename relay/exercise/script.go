// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/certlink/certlink/relay/message"
)

// Bounds of a script.
const (
	MaxScriptBytes = 128 << 10
	MaxSteps       = 64
	maxSeconds     = 7 * 86_400
	maxStepText    = 4096
	maxStepSubject = 256
)

var nameShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Script is a drill.
type Script struct {
	// Name of the exercise: lower-case letters, digits and dashes, at most 63. It is used once.
	Name string `json:"name"`
	// Steps, at most 64, in their order.
	Steps []Step `json:"steps"`
}

// Step is one message of a drill, and what is expected of the other side.
type Step struct {
	// AfterSeconds since the beginning of the exercise: 0 to 604800, not before the step above.
	AfterSeconds int32 `json:"afterSeconds"`
	// Kind is INQUIRY or NOTIFICATION (default). Precedence as of a message, default ROUTINE.
	Kind       string `json:"kind,omitempty"`
	Precedence string `json:"precedence,omitempty"`
	// Subject and Text, at most 256 and 4096 characters. The relay puts Prefix before the subject.
	Subject string `json:"subject"`
	Text    string `json:"text"`
	// ReceiptWithinSeconds, AckWithinSeconds and AnswerWithinSeconds are what is expected;
	// zero means nothing. At most 604800.
	ReceiptWithinSeconds int32 `json:"receiptWithinSeconds,omitempty"`
	AckWithinSeconds     int32 `json:"ackWithinSeconds,omitempty"`
	AnswerWithinSeconds  int32 `json:"answerWithinSeconds,omitempty"`
}

// Parse reads a script in YAML or JSON. Fields that it does not know are refused.
func Parse(raw []byte) (Script, error) {
	var s Script
	if len(raw) > MaxScriptBytes {
		return Script{}, fmt.Errorf("reading the exercise: it has more than %d bytes", MaxScriptBytes)
	}
	if err := yaml.UnmarshalStrict(raw, &s); err != nil {
		return Script{}, fmt.Errorf("reading the exercise: %w", err)
	}
	return s, s.Check()
}

// Check returns everything that is wrong, and sets what is left out to its default.
func (s *Script) Check() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok && len(errs) < 16 {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(nameShape.MatchString(s.Name), "name: must be lower-case letters, digits and dashes, at most 63")
	require(len(s.Steps) > 0 && len(s.Steps) <= MaxSteps, "steps: must be 1 to %d", MaxSteps)
	before := int32(0)
	for i := range s.Steps {
		p := &s.Steps[i]
		if p.Kind == "" {
			p.Kind = string(message.Notification)
		}
		if p.Precedence == "" {
			p.Precedence = "ROUTINE"
		}
		in := func(ok bool, format string, args ...any) {
			require(ok, "steps[%d].%s", i, fmt.Sprintf(format, args...))
		}
		in(p.AfterSeconds >= before && p.AfterSeconds <= maxSeconds, "afterSeconds: must be within %d, that of the step before, and %d", before, maxSeconds)
		in(p.Kind == string(message.Notification) || p.Kind == string(message.Inquiry), "kind: must be INQUIRY or NOTIFICATION")
		in(slices.Contains(message.Precedences, p.Precedence), "precedence: must be one of %v", message.Precedences)
		in(strings.TrimSpace(p.Subject) != "" && utf8.RuneCountInString(p.Subject) <= maxStepSubject, "subject: must have 1 to %d characters", maxStepSubject)
		in(strings.TrimSpace(p.Text) != "" && utf8.RuneCountInString(p.Text) <= maxStepText, "text: must have 1 to %d characters", maxStepText)
		for _, n := range []int32{p.ReceiptWithinSeconds, p.AckWithinSeconds, p.AnswerWithinSeconds} {
			in(n >= 0 && n <= maxSeconds, "…WithinSeconds: must be within 0 and %d", maxSeconds)
		}
		before = max(before, p.AfterSeconds)
	}
	return errors.Join(errs...)
}

// due is when a step is to be sent.
func (s *Script) due(start time.Time, step int) time.Time {
	return start.Add(time.Duration(s.Steps[step].AfterSeconds) * time.Second)
}
