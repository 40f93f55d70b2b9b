// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"strings"
	"testing"
)

const springDrill = `name: spring
steps:
- subject: Scans against a fictitious operator
  text: This is step one.
  receiptWithinSeconds: 30
- afterSeconds: 60
  kind: INQUIRY
  precedence: IMMEDIATE
  subject: Who is on duty
  text: Please answer.
  ackWithinSeconds: 300
  answerWithinSeconds: 900
`

func TestAScriptIsReadAndBounded(t *testing.T) {
	s, err := Parse([]byte(springDrill))
	if err != nil || len(s.Steps) != 2 || s.Steps[0].Kind != "NOTIFICATION" || s.Steps[0].Precedence != "ROUTINE" {
		t.Fatalf("%+v, %v", s, err)
	}
	for name, spoil := range map[string][2]string{
		"an_unknown_field": {"name:", "nome: x\nname:"}, "a_bad_name": {"spring", "Spring time"}, "another_kind": {"INQUIRY", "PRESERVE"},
		"another_precedence": {"IMMEDIATE", "NOW"}, "no_subject": {"Who is on duty", "' '"}, "a_step_back": {"- subject", "- afterSeconds: 90\n  subject"},
		"too_late": {"60", "999999999"}, "a_negative_time": {"ackWithinSeconds: 300", "ackWithinSeconds: -1"},
	} {
		if _, err := Parse([]byte(strings.Replace(springDrill, spoil[0], spoil[1], 1))); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := Parse([]byte("name: empty")); err == nil {
		t.Error("an exercise without steps is taken")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(springDrill))
	f.Fuzz(func(_ *testing.T, raw []byte) { _, _ = Parse(raw) })
}
