// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/message"
)

func TestWhatMayBeSentWhere(t *testing.T) {
	for name, tc := range map[string]struct {
		m     message.Message
		of    string
		begun bool
		field string
	}{
		"a_real_message":                               {message.Message{Subject: "Scans"}, "", true, ""},
		"an_exercise_in_a_new_conversation":            {message.Message{Subject: "Scans", Exercise: "drill"}, "", false, ""},
		"an_exercise_in_its_conversation":              {message.Message{Subject: "Scans", Exercise: "drill"}, "drill", true, ""},
		"an_exercise_in_a_real_conversation":           {message.Message{Subject: "Scans", Exercise: "drill"}, "", true, "conversation"},
		"a_real_message_in_an_exercise":                {message.Message{Subject: "Scans"}, "drill", true, "exercise"},
		"one_exercise_in_another":                      {message.Message{Subject: "Scans", Exercise: "other"}, "drill", true, "exercise"},
		"an_exercise_with_a_real_code":                 {message.Message{Subject: "Scans", Exercise: "drill", RSIT: "availability:ddos"}, "drill", true, "rsit"},
		"a_real_message_that_looks_like_one":           {message.Message{Subject: " exercise EXERCISE exercise"}, "", true, "subject"},
		"an_acknowledgement_in_an_exercise_follows_it": {message.Message{Kind: message.ACK}, "drill", true, ""},
		"an_acknowledgement_of_what_is_real":           {message.Message{Kind: message.ACK}, "", true, ""},
	} {
		m := tc.m
		field, reason := Mark(&m, tc.of, tc.begun)
		if field != tc.field || (reason == "") != (field == "") {
			t.Errorf("%s: %q %q, want %q", name, field, reason, tc.field)
			continue
		}
		if field != "" {
			continue
		}
		marked := m.RSIT == message.TestCode && (m.Kind == message.ACK || strings.HasPrefix(m.Subject, Prefix))
		if isOne := m.Exercise != ""; isOne != marked || isOne != (tc.of != "" || tc.m.Exercise != "") {
			t.Errorf("%s: became %+v", name, m)
		}
	}
}

func TestWhatIsSuspicious(t *testing.T) {
	for name, tc := range map[string]struct {
		m    message.Message
		of   string
		want bool
	}{
		"real":                               {message.Message{Subject: "Scans"}, "", false},
		"an_exercise":                        {message.Message{Exercise: "drill", RSIT: message.TestCode}, "drill", false},
		"an_exercise_in_a_real_conversation": {message.Message{Exercise: "drill", RSIT: message.TestCode}, "", true},
		"an_exercise_without_the_code":       {message.Message{Exercise: "drill"}, "drill", true},
		"the_code_without_an_exercise":       {message.Message{RSIT: message.TestCode}, "", true},
		"a_real_one_in_an_exercise":          {message.Message{}, "drill", true},
		"another_exercise":                   {message.Message{Exercise: "other", RSIT: message.TestCode}, "drill", true},
		"the_word_alone":                     {message.Message{Subject: "Exercise: all clear"}, "", true},
	} {
		if got := Suspicious(&tc.m, tc.of); (got != "") != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if m := (message.Message{Exercise: "drill", Subject: "Scans"}); Shown(&m) != Prefix+" Scans" || Subject(Shown(&m)) != Shown(&m) {
		t.Errorf("shown as %q", Shown(&m))
	}
}
