// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package statuscheck

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func condition(name string, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{
		Type: name, Status: status, ObservedGeneration: 2, Reason: "Because", Message: "because",
		LastTransitionTime: metav1.NewTime(time.Unix(1, 0)),
	}
}

func legal() []metav1.Condition {
	return []metav1.Condition{
		condition("Ready", "True"), condition("Connected", "False"), condition("Redundant", "False"),
		condition("PeerAccepted", "Unknown"), condition("TrustInSync", "True"), condition("Suspended", "False"),
	}
}

func TestCheck(t *testing.T) {
	if err := Check("PeerCERT", 2, 2, legal()); err != nil {
		t.Errorf("a legal status was refused: %v", err)
	}
	change := func(f func([]metav1.Condition) []metav1.Condition) []metav1.Condition { return f(legal()) }
	for name, tc := range map[string]struct {
		observed   int64
		conditions []metav1.Condition
		want       string
	}{
		"a_condition_is_missing": {2, legal()[:5], "Suspended is missing"},
		"a_foreign_condition":    {2, append(legal(), condition("Fresh", "True")), "not one of a PeerCERT"},
		"twice":                  {2, append(legal(), condition("Ready", "True")), "twice"},
		"stalled_but_False":      {2, append(legal(), condition("Stalled", "False")), "exists with status False"},
		"stalled_but_ready":      {2, append(legal(), condition("Stalled", "True")), "Ready is True while"},
		"both": {2, change(func(c []metav1.Condition) []metav1.Condition {
			c[0].Status = "False"
			return append(c, condition("Stalled", "True"), condition("Reconciling", "True"))
		}), "both there"},
		"False_without_a_fate": {2, change(func(c []metav1.Condition) []metav1.Condition { c[0].Status = "False"; return c }), "whether a person must act"},
		"ahead":                {3, legal(), "ahead"},
		"behind":               {1, legal(), "observedGeneration is 1"},
		"two_lines":            {2, change(func(c []metav1.Condition) []metav1.Condition { c[1].Message = "a\nb"; return c }), "one line"},
		"a_reason_with_spaces": {2, change(func(c []metav1.Condition) []metav1.Condition { c[1].Reason = "so so"; return c }), "CamelCase"},
		"no_time":              {2, change(func(c []metav1.Condition) []metav1.Condition { c[1].LastTransitionTime = metav1.Time{}; return c }), "transition time"},
		"a_status_of_its_own":  {2, change(func(c []metav1.Condition) []metav1.Condition { c[1].Status = "Maybe"; return c }), `"Maybe"`},
		"no_generation":        {2, change(func(c []metav1.Condition) []metav1.Condition { c[1].ObservedGeneration = 0; return c }), "observedGeneration is 0"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check("PeerCERT", 2, tc.observed, tc.conditions)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
