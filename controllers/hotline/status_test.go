// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/statuscheck"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// world is a relay that runs the hotline, with a link in some state.
func world(link relayreport.State, line relayreport.Hotline) *seen {
	line.Name = "bravo"
	cfg := &config.Config{Peers: []config.Peer{{Name: "bravo"}}, Hotlines: []config.Hotline{{Name: "bravo", Peer: "bravo"}}}
	direction := relayreport.Direction{State: link, Cause: relayreport.CauseUnreachable}
	return &seen{
		local: &v1alpha1.LocalCERT{},
		peer: &v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Name: "bravo"}, Spec: v1alpha1.PeerCERTSpec{
			Endpoints: []v1alpha1.Endpoint{{Address: "relay.bravo.example:8443"}},
		}},
		view: reports.View{
			Contact: reports.Reached, Wanted: cfg, Live: cfg, Checksum: "x", WrittenAt: noon.Add(-time.Hour),
			Report: &relayreport.Report{
				Peers:    []relayreport.Peer{{Name: "bravo", Outbound: direction, Inbound: direction}},
				Hotlines: []relayreport.Hotline{line},
			},
		},
	}
}

// offered is a fresh offer of the peer.
func offered(version int32, hotline bool) func(*seen) {
	return func(s *seen) {
		s.view.Report.Peers[0].Offer = &relayreport.Offer{ReceivedAt: noon, Version: version, Hotline: hotline, State: "Active"}
	}
}

func TestReport(t *testing.T) {
	overdue := relayreport.Hotline{OverdueReceipts: 1, Error: "their disk is full"}
	for name, tc := range map[string]struct {
		seen                       *seen
		change                     func(*seen)
		ready, reachable, answered string
		says                       string
	}{
		"well":                   {world(relayreport.Up, relayreport.Hotline{}), nil, "True/Reconciled", "True/ReceiptsInTime", "True/AcknowledgedInTime", ""},
		"the_link_is_down":       {world(relayreport.Down, relayreport.Hotline{}), nil, "True/Reconciled", "False/LinkDown", "True/AcknowledgedInTime", "spec.endpoints"},
		"it_goes_by_transit":     {world(relayreport.Down, relayreport.Hotline{Via: "charlie"}), nil, "True/Reconciled", "True/ByTransit", "True/AcknowledgedInTime", `PeerCERT "charlie", sealed`},
		"transit_is_overdue":     {world(relayreport.Down, relayreport.Hotline{Via: "charlie", OverdueReceipts: 1}), nil, "True/Reconciled", "False/ReceiptOverdue", "True/AcknowledgedInTime", "telephone"},
		"nobody_carries":         {world(relayreport.Down, relayreport.Hotline{Transit: []relayreport.Transit{{Peer: "charlie", State: relayreport.TransitNotCarried}}}), nil, "True/Reconciled", "False/LinkDown", "True/AcknowledgedInTime", "through charlie: it does not carry for us"},
		"transit_with_a_link":    {world(relayreport.Up, relayreport.Hotline{Transit: []relayreport.Transit{{Peer: "charlie", State: relayreport.TransitFailed}}}), nil, "True/Reconciled", "True/ReceiptsInTime", "True/AcknowledgedInTime", ""},
		"an_overdue_receipt":     {world(relayreport.Up, overdue), nil, "True/Reconciled", "False/ReceiptOverdue", "True/AcknowledgedInTime", "their disk is full"},
		"it_outweighs_the_link":  {world(relayreport.Down, overdue), nil, "True/Reconciled", "False/ReceiptOverdue", "True/AcknowledgedInTime", "telephone"},
		"nobody_acknowledges":    {world(relayreport.Up, relayreport.Hotline{OverdueAcknowledgements: 2}), nil, "True/Reconciled", "True/ReceiptsInTime", "False/AcknowledgementOverdue", "duty officer"},
		"the_relay_is_lost":      {world(relayreport.Up, relayreport.Hotline{}), func(s *seen) { s.view.Contact = reports.Lost }, "Unknown/RelayUnreachable", "Unknown/RelayUnreachable", "Unknown/RelayUnreachable", "may go on"},
		"the_operator_has_begun": {world(relayreport.Up, relayreport.Hotline{}), func(s *seen) { s.view = reports.View{} }, "Unknown/Pending", "Unknown/Pending", "Unknown/Pending", ""},
		"a_revoked_peer":         {world(relayreport.Up, relayreport.Hotline{}), func(s *seen) { s.peer.Spec.State = v1alpha1.PeerRevoked }, "True/Reconciled", "False/Revoked", "True/AcknowledgedInTime", "Revoked"},
		"a_revoked_peer_of_which_the_relay_says_nothing": {world(relayreport.Up, relayreport.Hotline{}), func(s *seen) { s.peer.Spec.State, s.view.Report.Hotlines = v1alpha1.PeerRevoked, nil },
			"True/Reconciled", "False/Revoked", "Unknown/Revoked", "nothing is sent or accepted"},
		"no_hotline_over_there": {world(relayreport.Up, relayreport.Hotline{}), offered(1, false), "True/Reconciled", "False/NotOffered", "True/AcknowledgedInTime", "ask them for a Hotline"},
		"a_hotline_over_there":  {world(relayreport.Up, relayreport.Hotline{}), offered(1, true), "True/Reconciled", "True/ReceiptsInTime", "True/AcknowledgedInTime", ""},
		"no_common_protocol":    {world(relayreport.Up, relayreport.Hotline{}), offered(0, true), "True/Reconciled", "False/VersionMismatch", "True/AcknowledgedInTime", "telephone"},
		"the_link_comes_first":  {world(relayreport.Down, relayreport.Hotline{}), offered(1, false), "True/Reconciled", "False/LinkDown", "True/AcknowledgedInTime", ""},
		"no_peer":               {world(relayreport.Up, relayreport.Hotline{}), func(s *seen) { s.peer = nil }, "False/PeerNotFound", "False/PeerNotFound", "Unknown/PeerNotFound", `"bravo"`},
		"no_LocalCERT":          {world(relayreport.Up, relayreport.Hotline{}), func(s *seen) { s.local = nil }, "False/LocalCERTMissing", "False/LocalCERTMissing", "Unknown/LocalCERTMissing", "create one"},
		"a_peer_that_is_no_use": {world(relayreport.Up, relayreport.Hotline{}), func(s *seen) { s.view.Wanted = &config.Config{} }, "False/PeerNotReady", "True/ReceiptsInTime", "True/AcknowledgedInTime", ""},
		"not_run_yet":           {world(relayreport.Up, relayreport.Hotline{}), func(s *seen) { s.view.Live = &config.Config{}; s.view.WrittenAt = noon; s.view.Report.Hotlines = nil }, "False/Progressing", "Unknown/Pending", "Unknown/Pending", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.change != nil {
				tc.change(tc.seen)
			}
			h := &v1alpha1.Hotline{
				ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "bravo", Generation: 1},
				Spec:       v1alpha1.HotlineSpec{PeerRef: v1alpha1.PeerReference{Name: "bravo"}},
			}
			edit := status.NewEditor(&h.Status.Conditions, 1, noon)
			outcome := report(h, tc.seen, edit, noon)
			if edit.Conclude(outcome.Verdict) {
				h.Status.ObservedGeneration = 1
			}
			if err := statuscheck.Check("Hotline", 1, h.Status.ObservedGeneration, h.Status.Conditions); err != nil {
				t.Error(err)
			}
			var messages strings.Builder
			for condition, want := range map[string]string{"Ready": tc.ready, "Reachable": tc.reachable, "Answered": tc.answered} {
				c := edit.Get(condition)
				messages.WriteString(c.Message + "\n")
				if got := string(c.Status) + "/" + c.Reason; got != want {
					t.Errorf("%s is %s (%s), want %s", condition, got, c.Message, want)
				}
			}
			if !strings.Contains(messages.String(), tc.says) {
				t.Errorf("no message says %q:\n%s", tc.says, messages.String())
			}
		})
	}
}

func TestCounts(t *testing.T) {
	h := &v1alpha1.Hotline{}
	receipt := noon.Add(-time.Minute + 300*time.Millisecond)
	describe(h, &relayreport.Hotline{Unacknowledged: 3, LastReceipt: receipt})
	if *h.Status.Unacknowledged != 3 || !h.Status.LastReceiptTime.Time.Equal(receipt.Truncate(time.Second)) {
		t.Errorf("unexpected status: %+v", h.Status)
	}
	describe(h, nil)
	if *h.Status.Unacknowledged != 3 {
		t.Error("the last word was forgotten while the relay is silent")
	}
}
