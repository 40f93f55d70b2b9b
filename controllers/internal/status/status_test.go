// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/internal/statuscheck"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// editor of a PeerCERT at a generation, with the conditions that it always has.
func editor(list *[]metav1.Condition, generation int64, now time.Time) *Editor {
	e := NewEditor(list, generation, now)
	for _, pending := range []string{"Connected", "Redundant", "PeerAccepted", "TrustInSync"} {
		e.Put(pending, Fact{Reason: "Pending", Message: "waiting"})
	}
	e.Put("Suspended", Fact{Status: "False", Reason: "Active", Message: "nothing is held back"})
	return e
}

func TestConclude(t *testing.T) {
	for name, tc := range map[string]struct {
		fate               Fate
		ready, abnormal    string
		observedMoves      bool
		afterBeingReady    string
		abnormalAfterReady string
	}{
		"done":    {Done, "True", "", true, "True", ""},
		"working": {Working, "False", "Reconciling", true, "False", "Reconciling"},
		"stalled": {Stalled, "False", "Stalled", true, "False", "Stalled"},
		"blind":   {Blind, "Unknown", "", true, "Unknown", ""},
		"same":    {Same, "Unknown", "", false, "True", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var list []metav1.Condition
			check := func(ready, abnormal string, moved bool) {
				t.Helper()
				if got := string(meta.FindStatusCondition(list, "Ready").Status); got != ready {
					t.Errorf("Ready is %s, want %s", got, ready)
				}
				for _, c := range []string{"Reconciling", "Stalled"} {
					if there := meta.FindStatusCondition(list, c) != nil; there != (c == abnormal) {
						t.Errorf("%s is there: %v", c, there)
					}
				}
				if moved != tc.observedMoves {
					t.Errorf("the observed generation moves: %v", moved)
				}
				if err := statuscheck.Check("PeerCERT", 1, 1, list); err != nil {
					t.Error(err)
				}
			}
			v := Verdict{Fate: tc.fate, Reason: "Because", Message: "because"}
			check(tc.ready, tc.abnormal, editor(&list, 1, noon).Conclude(v))

			list = nil
			editor(&list, 1, noon).Conclude(Verdict{Fate: Done, Reason: "Reconciled", Message: "done"})
			check(tc.afterBeingReady, tc.abnormalAfterReady, editor(&list, 1, noon).Conclude(v))
		})
	}
}

func TestPut(t *testing.T) {
	t.Run("a_transition_time_moves_only_with_the_status", func(t *testing.T) {
		var list []metav1.Condition
		NewEditor(&list, 1, noon).Put("Connected", Fact{Status: "True", Reason: "A", Message: "a"})
		NewEditor(&list, 1, noon.Add(time.Hour)).Put("Connected", Fact{Status: "True", Reason: "B", Message: "b"})
		if c := list[0]; !c.LastTransitionTime.Time.Equal(noon) || c.Reason != "B" {
			t.Errorf("unexpected condition: %+v", c)
		}
		NewEditor(&list, 1, noon.Add(2*time.Hour)).Put("Connected", Fact{Status: "False", Reason: "B", Message: "b"})
		if c := list[0]; !c.LastTransitionTime.Time.Equal(noon.Add(2 * time.Hour)) {
			t.Errorf("unexpected condition: %+v", c)
		}
	})
	t.Run("what_is_not_known_yet_keeps_what_was", func(t *testing.T) {
		var list []metav1.Condition
		NewEditor(&list, 1, noon).Put("Connected", Fact{Status: "True", Reason: "A", Message: "a"})
		NewEditor(&list, 2, noon).Put("Connected", Fact{Reason: "Pending", Message: "wait"})
		if c := list[0]; c.Status != "True" || c.ObservedGeneration != 1 {
			t.Errorf("unexpected condition: %+v", c)
		}
	})
	t.Run("messages_are_one_bounded_line", func(t *testing.T) {
		var list []metav1.Condition
		NewEditor(&list, 1, noon).Put("Connected", Fact{Status: "True", Reason: "A", Message: "a\nb\x00\xff" + strings.Repeat("é", 2000)})
		if m := list[0].Message; len(m) > maxMessage || strings.ContainsAny(m, "\n\x00") || !strings.HasPrefix(m, "a b ?") {
			t.Errorf("unexpected message of %d bytes: %q", len(m), m[:20])
		}
	})
	t.Run("Holds_is_about_the_present_generation", func(t *testing.T) {
		var list []metav1.Condition
		NewEditor(&list, 1, noon).Put("Ready", Fact{Status: "True", Reason: "A", Message: "a"})
		if !NewEditor(&list, 1, noon).Holds("Ready", "True") || NewEditor(&list, 2, noon).Holds("Ready", "True") {
			t.Error("Holds does not look at the generation")
		}
	})
}

func TestWhatNeedsAttentionStandsFirst(t *testing.T) {
	telling := []string{"Reachable", "Ready", "Answered", "JournalDoubtful", "PeerAccepted"}
	for name, tc := range map[string]struct{ conditions, want string }{
		"all_is_well":                         {"Stalled=True Ready=True Answered=True Reachable=True", "Reachable Ready Answered Stalled"},
		"our_side_is_not_ready":               {"Reachable=True Answered=True Ready=False Reconciling=True", "Ready Reachable Answered Reconciling"},
		"the_line_comes_before_our_side":      {"Ready=False Reachable=False", "Reachable Ready"},
		"what_is_false_before_the_unknown":    {"Reachable=Unknown Ready=True Answered=False", "Answered Reachable Ready"},
		"a_doubt_is_bad_while_it_is_true":     {"Ready=True JournalDoubtful=True Reachable=True", "JournalDoubtful Reachable Ready"},
		"a_peer_may_say_nothing":              {"PeerAccepted=Unknown Ready=True", "Ready PeerAccepted"},
		"a_peer_that_says_no":                 {"Ready=True PeerAccepted=False", "PeerAccepted Ready"},
		"the_others_keep_their_order":         {"Zeta=False Alpha=False Ready=True", "Ready Zeta Alpha"},
		"nothing_that_was_sorted_moves_again": {"Ready=False Reachable=True Answered=True Zeta=True", "Ready Reachable Answered Zeta"},
	} {
		t.Run(name, func(t *testing.T) {
			var list []metav1.Condition
			for word := range strings.FieldsSeq(tc.conditions) {
				condition, is, _ := strings.Cut(word, "=")
				list = append(list, metav1.Condition{Type: condition, Status: metav1.ConditionStatus(is)})
			}
			Sort(list, telling)
			var got []string
			for _, c := range list {
				got = append(got, c.Type)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %v, want %s", got, tc.want)
			}
		})
	}
}

func TestTimeIsInWholeSeconds(t *testing.T) {
	if Time(time.Time{}) != nil {
		t.Error("no time became one")
	}
	if got := Time(noon.Add(999 * time.Millisecond)); !got.Time.Equal(noon) {
		t.Errorf("got %v: it would differ from what the API server gives back", got)
	}
}
