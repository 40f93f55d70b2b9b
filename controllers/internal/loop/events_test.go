// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// these are conditions, each as TYPE=STATUS/REASON.
func these(words string) []metav1.Condition {
	var list []metav1.Condition
	for word := range strings.FieldsSeq(words) {
		condition, rest, _ := strings.Cut(word, "=")
		status, reason, _ := strings.Cut(rest, "/")
		list = append(list, metav1.Condition{Type: condition, Status: metav1.ConditionStatus(status), Reason: reason})
	}
	return list
}

func TestEventsTellWhatChanged(t *testing.T) {
	for name, tc := range map[string]struct{ before, after, want string }{
		"another_status":                {"Reachable=True/ReceiptsInTime", "Reachable=False/LinkDown", "Warning Reachable=False/LinkDown"},
		"another_reason":                {"Reachable=True/ByTransit", "Reachable=True/ReceiptsInTime", "Normal Reachable=True/ReceiptsInTime"},
		"nothing_new":                   {"Ready=True/Reconciled", "Ready=True/Reconciled", ""},
		"not_known_yet_is_no_news":      {"", "Answered=Unknown/Pending", ""},
		"Ready_speaks_for_what_is_kept": {"", "Ready=False/SecretNotFound Stalled=True/SecretNotFound", "Warning Ready=False/SecretNotFound"},
		"and_for_what_is_under_way":     {"Ready=True/Reconciled", "Ready=False/Progressing Reconciling=True/Progressing", "Normal Ready=False/Progressing"},
		"work_that_is_done":             {"Ready=False/Progressing Reconciling=True/Progressing", "Ready=True/Reconciled", "Normal Ready=True/Reconciled"},
		"somebody_is_silent":            {"Ready=True/Reconciled", "Ready=True/Reconciled Escalating=True/ReceiptEscalated", "Warning Escalating=True/ReceiptEscalated"},
		"the_silence_has_ended":         {"Escalating=True/ReceiptEscalated", "", "Normal Escalating=False/ReceiptEscalated"},
		"a_journal_in_doubt":            {"", "JournalDoubtful=True/JournalDamaged", "Warning JournalDoubtful=True/JournalDamaged"},
		"a_peer_is_held_back":           {"Suspended=False/Active", "Suspended=True/Drained", "Normal Suspended=True/Drained"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range news(these(tc.before), these(tc.after)) {
				got = append(got, severity(c)+" "+c.Type+"="+string(c.Status)+"/"+c.Reason)
			}
			slices.Sort(got)
			if strings.Join(got, ", ") != tc.want {
				t.Errorf("got %v, want %s", got, tc.want)
			}
		})
	}
}
