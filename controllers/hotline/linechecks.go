// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// maxLineChecks is the largest number of paths in the status.
const maxLineChecks = 32

// label of a path for people.
func label(c relayreport.LineCheck) string {
	if c.Accepted {
		return "from " + c.Address
	}
	return "to " + c.Address
}

// describeChecks fills what the relay says of each path. Where checks are answered it leaves
// out when, or each check would be a write: it was within the declared time.
func describeChecks(h *v1alpha1.Hotline, line *relayreport.Hotline) {
	h.Status.LineChecks = nil
	for _, c := range line.LineChecks[:min(len(line.LineChecks), maxLineChecks)] {
		h.Status.LineChecks = append(h.Status.LineChecks, v1alpha1.HotlineLineCheck{
			Label: label(c), Sent: v1alpha1.LineCheckState(c.Sent), Received: v1alpha1.LineCheckState(c.Received),
			LastSent: lastGood(c.Sent, c.LastSent), LastReceived: lastGood(c.Received, c.LastReceived),
		})
	}
}

func lastGood(state relayreport.LineCheckState, at time.Time) *metav1.Time {
	if state == relayreport.LineAnswered {
		return nil
	}
	return status.Time(at)
}

// checked says whether every path was checked in both directions in time.
func (s *seen) checked(line *relayreport.Hotline) status.Fact {
	if line == nil {
		if s.view.Contact == reports.Reached {
			return s.absent()
		}
		return s.answered(nil) // the relay is not to be read: the same holds
	}
	var waits, bad []string
	reason := ""
	note := func(c relayreport.LineCheck, state relayreport.LineCheckState, why, text string) {
		switch state {
		case relayreport.LineAnswered:
		case relayreport.LineMissed:
			if reason == "" {
				reason = why
			}
			bad = append(bad, fmt.Sprintf("the path %s: %s", label(c), text))
		default:
			if path := label(c); !slices.Contains(waits, path) {
				waits = append(waits, path)
			}
		}
	}
	for _, c := range line.LineChecks {
		unanswered := "our checks are not answered"
		if c.Failure != "" {
			unanswered += " (" + c.Failure + ")"
		}
		note(c, c.Sent, v1alpha1.ReasonCheckUnanswered, unanswered)
		note(c, c.Received, v1alpha1.ReasonPeerCheckMissing, "the checks of the peer do not reach us")
	}
	switch {
	case len(bad) > 0:
		return status.Fact{Status: metav1.ConditionFalse, Reason: reason, Message: missing(bad) + "; see kubectl certlink hotline check " + line.Name}
	case len(line.LineChecks) == 0:
		return status.Fact{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotCheckedYet, Message: "there is no path to check yet"}
	case len(waits) > 0:
		return status.Fact{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotCheckedYet,
			Message: unchecked(waits) + " not checked in both directions yet, or the peer does not say that it checks",
		}
	}
	return status.Fact{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPathsChecked, Message: "every path was checked in both directions within the declared time"}
}

// missing names the first direction of a path that is not good, and counts the others: each path has two.
func missing(bad []string) string {
	switch more := len(bad) - 1; more {
	case 0:
		return bad[0]
	case 1:
		return bad[0] + "; and 1 more direction is not good"
	default:
		return fmt.Sprintf("%s; and %d more directions are not good", bad[0], more)
	}
}

// unchecked is the subject and the verb of what is said of paths.
func unchecked(paths []string) string {
	if len(paths) == 1 {
		return fmt.Sprintf("the path %s was", paths[0])
	}
	return fmt.Sprintf("the path %s and %d more were", paths[0], len(paths)-1)
}
