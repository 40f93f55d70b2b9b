// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	relayreport "github.com/certlink/certlink/relay/report"
)

func TestLineChecked(t *testing.T) {
	path := func(address string, sent, received relayreport.LineCheckState) relayreport.LineCheck {
		return relayreport.LineCheck{Address: address, Sent: sent, Received: received}
	}
	good := path("a:1", relayreport.LineAnswered, relayreport.LineAnswered)
	cut := path("b:1", relayreport.LineMissed, relayreport.LineMissed)
	cut.Failure, cut.Accepted = "no answer within 20s", true
	for name, tc := range map[string]struct {
		checks []relayreport.LineCheck
		want   string
		says   string
	}{
		"all_are_good":                 {[]relayreport.LineCheck{good, good}, "True/PathsChecked", "both directions"},
		"one_is_cut":                   {[]relayreport.LineCheck{good, cut}, "False/CheckUnanswered", "from b:1: our checks are not answered (no answer within 20s); and 1 more direction is not good; see"},
		"the_peer_is_not_heard":        {[]relayreport.LineCheck{path("b:1", relayreport.LineAnswered, relayreport.LineMissed), good}, "False/PeerCheckMissing", "to b:1: the checks of the peer"},
		"both_are_cut":                 {[]relayreport.LineCheck{cut, cut}, "False/CheckUnanswered", "from b:1: our checks are not answered (no answer within 20s); and 3 more directions are not good; see"},
		"one_was_not_checked_yet":      {[]relayreport.LineCheck{good, path("b:1", relayreport.LineNotTested, relayreport.LineAnswered)}, "Unknown/NotCheckedYet", "the path to b:1 was not checked"},
		"neither_way_was_checked_yet":  {[]relayreport.LineCheck{path("b:1", relayreport.LineNotTested, relayreport.LineNotDeclared)}, "Unknown/NotCheckedYet", "the path to b:1 was not checked"},
		"two_were_not_checked_yet":     {[]relayreport.LineCheck{path("a:1", relayreport.LineNotTested, relayreport.LineAnswered), path("b:1", relayreport.LineNotTested, relayreport.LineNotDeclared)}, "Unknown/NotCheckedYet", "the path to a:1 and 1 more were not checked in both directions yet"},
		"what_is_bad_comes_first":      {[]relayreport.LineCheck{path("b:1", relayreport.LineNotTested, relayreport.LineNotDeclared), cut}, "False/CheckUnanswered", "from b:1"},
		"the_peer_does_not_say":        {[]relayreport.LineCheck{path("b:1", relayreport.LineAnswered, relayreport.LineNotDeclared)}, "Unknown/NotCheckedYet", "does not say"},
		"there_is_no_path_to_check_at": {nil, "Unknown/NotCheckedYet", "no path"},
	} {
		s := world(relayreport.Up, relayreport.Hotline{LineChecks: tc.checks})
		got := s.checked(s.line("bravo"))
		if string(got.Status)+"/"+got.Reason != tc.want || !strings.Contains(got.Message, tc.says) {
			t.Errorf("%s: %s/%s %q, want %s, %q", name, got.Status, got.Reason, got.Message, tc.want, tc.says)
		}
	}
	s := world(relayreport.Up, relayreport.Hotline{})
	s.view.Contact = reports.Lost
	if got := s.checked(nil); got.Reason != v1alpha1.ReasonRelayUnreachable {
		t.Errorf("a relay that is not read: %+v", got)
	}
	h := &v1alpha1.Hotline{}
	describe(h, &relayreport.Hotline{LineChecks: []relayreport.LineCheck{good, cut}})
	if len(h.Status.LineChecks) != 2 || h.Status.LineChecks[1].Label != "from b:1" || h.Status.LineChecks[1].Sent != v1alpha1.LineMissed {
		t.Errorf("status is %+v", h.Status.LineChecks)
	}
}

func TestAnotherGoodLineCheckWritesNothingToTheStatus(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	status := func(at time.Time) []v1alpha1.HotlineLineCheck {
		h := &v1alpha1.Hotline{}
		describe(h, &relayreport.Hotline{LineChecks: []relayreport.LineCheck{
			{Address: "a:1", Sent: relayreport.LineAnswered, LastSent: at, Received: relayreport.LineMissed, LastReceived: noon},
		}})
		return h.Status.LineChecks
	}
	before, after := status(noon), status(noon.Add(time.Hour))
	if !equality.Semantic.DeepEqual(before, after) {
		t.Errorf("the status was %+v and is %+v", before, after)
	}
	if got := after[0].LastReceived; got == nil || !got.Time.Equal(noon) {
		t.Errorf("the last check that arrived of those that are missed is of %v", got)
	}
}
