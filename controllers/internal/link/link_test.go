// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/relay/report"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func peer(state v1alpha1.PeerState, endpoints ...string) *v1alpha1.PeerCERT {
	p := &v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Name: "bravo"}}
	p.Spec.State = state
	for _, e := range endpoints {
		p.Spec.Endpoints = append(p.Spec.Endpoints, v1alpha1.Endpoint{Address: e})
	}
	return p
}

func reached(started time.Time, out, in report.State) reports.View {
	return reports.View{Contact: reports.Reached, Report: &report.Report{
		StartedAt: started,
		Peers:     []report.Peer{{Name: "bravo", Outbound: report.Direction{State: out}, Inbound: report.Direction{State: in}}},
	}}
}

func TestConnected(t *testing.T) {
	const address = "relay.bravo.example:8443"
	long, short := noon.Add(-time.Hour), noon.Add(-time.Second)
	lost := reached(long, report.Up, report.Up)
	lost.Contact = reports.Lost
	silent := reached(long, report.Down, report.Down)
	silent.Report.Peers[0].Outbound.Cause = report.CauseUntrusted
	absent := reached(long, report.Up, report.Up)
	absent.Report.Peers = nil
	for name, tc := range map[string]struct {
		view   reports.View
		peer   *v1alpha1.PeerCERT
		status metav1.ConditionStatus
		reason string
	}{
		"both_directions":                    {reached(long, report.Up, report.Up), peer("Active", address), "True", v1alpha1.ReasonProbesAnswered},
		"suspended_peers_are_probed":         {reached(long, report.Up, report.Up), peer("Suspended", address), "True", v1alpha1.ReasonProbesAnswered},
		"revoked_is_never_connected":         {reached(long, report.Up, report.Up), peer("Revoked", address), "False", v1alpha1.ReasonRevoked},
		"revoked_is_known_without_a_report":  {reports.View{}, peer("Revoked", address), "False", v1alpha1.ReasonRevoked},
		"one_direction_is_not_enough":        {reached(long, report.Up, report.Down), peer("Active", address), "False", v1alpha1.ReasonPeerSilent},
		"our_own_direction_gives_the_reason": {silent, peer("Active", address), "False", v1alpha1.ReasonPeerCertificateUntrusted},
		"down_is_down_though_half_unknown":   {reached(long, report.Unknown, report.Down), peer("Active", address), "False", v1alpha1.ReasonPeerSilent},
		"a_young_relay_is_given_time":        {reached(short, report.Unknown, report.Unknown), peer("Active", address), "", v1alpha1.ReasonPending},
		"an_old_relay_is_not":                {reached(long, report.Unknown, report.Up), peer("Active", address), "Unknown", v1alpha1.ReasonUnknown},
		"a_peer_that_dials_us":               {reached(long, report.Unknown, report.Up), peer("Active"), "True", v1alpha1.ReasonProbesAnswered},
		"a_peer_that_should_dial_us":         {reached(long, report.Unknown, report.Down), peer("Active"), "False", v1alpha1.ReasonNoEndpoints},
		"a_lost_relay_says_nothing":          {lost, peer("Active", address), "Unknown", v1alpha1.ReasonRelayUnreachable},
		"no_relay_yet":                       {reports.View{Contact: reports.Undeployed}, peer("Active", address), "Unknown", v1alpha1.ReasonRelayUnreachable},
		"an_operator_that_has_just_started":  {reports.View{}, peer("Active", address), "", v1alpha1.ReasonPending},
		"a_relay_that_we_are_calling":        {reports.View{Contact: reports.Calling}, peer("Active", address), "", v1alpha1.ReasonPending},
		"a_peer_that_the_relay_has_not":      {absent, peer("Active", address), "Unknown", v1alpha1.ReasonUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := Connected(tc.view, tc.peer, noon)
			if got.Status != tc.status || got.Reason != tc.reason || got.Message == "" {
				t.Errorf("got %+v, want %q for %s", got, tc.status, tc.reason)
			}
		})
	}
}

func TestUnknownIsLookedAtAgain(t *testing.T) {
	_, again := Connected(reached(noon.Add(-time.Second), report.Unknown, report.Unknown), peer("Active", "a:1"), noon)
	if want := Detection(v1alpha1.DetectionBudget{}) + settle - time.Second; again != want {
		t.Errorf("looks again in %v, want %v", again, want)
	}
}

func TestDetection(t *testing.T) {
	n := func(v int32) *int32 { return &v }
	for name, tc := range map[string]struct {
		budget v1alpha1.DetectionBudget
		want   time.Duration
	}{
		"defaults":            {v1alpha1.DetectionBudget{}, 6 * time.Second},
		"as_fast_as_possible": {v1alpha1.DetectionBudget{IntervalMilliseconds: n(200), Misses: n(1)}, 2400 * time.Millisecond},
		"slow":                {v1alpha1.DetectionBudget{IntervalMilliseconds: n(60000), Misses: n(20)}, 22 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Detection(tc.budget); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// Every cause of the report has words of its own for people.
func TestEveryCauseIsExplained(t *testing.T) {
	for _, cause := range []report.Cause{
		report.CauseUnreachable, report.CauseUntrusted, report.CauseTrustDomain, report.CauseExpired,
		report.CauseRefused, report.CauseSilent, report.CauseProtocol, report.CauseNoEndpoints,
	} {
		if Reason(cause) == v1alpha1.ReasonUnknown || causes[cause].hint == "" {
			t.Errorf("%s has no words", cause)
		}
	}
	if Reason("SomethingNew") != v1alpha1.ReasonUnknown {
		t.Error("a cause of a newer relay became another reason than Unknown")
	}
}
