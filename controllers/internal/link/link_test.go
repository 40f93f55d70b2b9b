// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"strings"
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

// over is a report with paths; the directions of the link follow from them as
// the relay makes them.
func over(paths ...report.PathState) reports.View {
	best := func(of func(report.PathState) report.State) report.State {
		state := report.Unknown
		for _, p := range paths {
			switch s := of(p); s {
			case report.Up:
				return s
			case report.Down:
				state = s
			case report.Suspect, report.Recovering, report.Unknown:
			}
		}
		return state
	}
	v := reached(noon.Add(-time.Hour),
		best(func(p report.PathState) report.State { return p.Outbound }), best(func(p report.PathState) report.State { return p.Inbound }))
	v.Report.Peers[0].Paths = paths
	return v
}

func path(address string, state, out, in report.State) report.PathState {
	return report.PathState{Address: address, State: state, Outbound: out, Inbound: in}
}

func accepted(p report.PathState) report.PathState {
	p.Accepted = true
	return p
}

const (
	up, down, suspect, recovering, undecided = report.Up, report.Down, report.Suspect, report.Recovering, report.Unknown
)

func TestConnected(t *testing.T) {
	const address = "relay.bravo.example:8443"
	long, short := noon.Add(-time.Hour), noon.Add(-time.Second)
	lost := reached(long, report.Up, report.Up)
	lost.Contact = reports.Lost
	silent := reached(long, report.Down, report.Down)
	silent.Report.Peers[0].Outbound.Cause = report.CauseUntrusted
	absent := reached(long, report.Up, report.Up)
	absent.Report.Peers = nil
	halves := over(path("a:1", down, undecided, down), path("b:1", down, down, up))
	halves.Report.Peers[0].Outbound.State = undecided
	for name, tc := range map[string]struct {
		view   reports.View
		peer   *v1alpha1.PeerCERT
		status metav1.ConditionStatus
		reason string
	}{
		"every_path_is_down_though_a_direction_cannot_be_told": {halves, peer("Active", address), "False", v1alpha1.ReasonPathsOneWay},
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
		"a_path_that_the_peer_dials":         {over(accepted(path("a:1", up, up, up))), peer("Active"), "True", v1alpha1.ReasonProbesAnswered},
		"one_of_two_paths":                   {over(path("a:1", down, down, down), path("b:1", up, up, up)), peer("Active", address), "True", v1alpha1.ReasonProbesAnswered},
		"a_path_that_was_late":               {over(path("a:1", suspect, up, up)), peer("Active", address), "True", v1alpha1.ReasonProbesAnswered},
		"a_path_that_comes_back":             {over(path("a:1", recovering, up, up)), peer("Active", address), "True", v1alpha1.ReasonProbesAnswered},
		"each_direction_over_another_path":   {over(path("a:1", down, up, down), path("b:1", down, down, up)), peer("Active", address), "False", v1alpha1.ReasonPathsOneWay},
		"it_is_too_early_for_one_of_them":    {over(path("a:1", undecided, up, undecided), path("b:1", down, down, up)), peer("Active", address), "Unknown", v1alpha1.ReasonUnknown},
		"down_without_a_cause":               {over(path("a:1", down, down, down)), peer("Active", address), "False", v1alpha1.ReasonUnknown},
		"the_peer_hears_us_but_we_not_it":    {over(path("a:1", down, up, down)), peer("Active", address), "False", v1alpha1.ReasonPeerSilent},
		"a_peer_that_stopped_dialling_us":    {over(accepted(path("a:1", down, down, down))), peer("Active"), "False", v1alpha1.ReasonNoEndpoints},
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
	if want := Budget(v1alpha1.DetectionBudget{}) + settle - time.Second; again != want {
		t.Errorf("looks again in %v, want %v", again, want)
	}
}

func TestRedundant(t *testing.T) {
	const address = "relay.bravo.example:8443"
	good := path(address, up, up, up)
	for name, tc := range map[string]struct {
		view   reports.View
		state  v1alpha1.PeerState
		status metav1.ConditionStatus
		reason string
		says   string
	}{
		"two_paths":                      {over(good, accepted(good)), "Active", "True", v1alpha1.ReasonPathsProven, "two"},
		"one_that_was_late_still_counts": {over(good, path("b:1", suspect, up, up)), "Active", "True", v1alpha1.ReasonPathsProven, "two"},
		"one_that_comes_back_does_not":   {over(good, path("b:1", recovering, up, up)), "Active", "False", v1alpha1.ReasonPathDown, "b:1 is Recovering"},
		"one_of_two_is_down":             {over(good, accepted(path("b:1", down, down, down))), "Active", "False", v1alpha1.ReasonPathDown, "b:1, which the peer dials, is Down"},
		"one_direction_is_not_a_path":    {over(good, path("b:1", up, up, down)), "Active", "False", v1alpha1.ReasonPathDown, "last path"},
		"there_is_only_one":              {over(good), "Active", "False", v1alpha1.ReasonSinglePath, "spec.endpoints"},
		"the_link_is_down":               {over(path("a:1", down, down, down), path("b:1", down, down, down)), "Active", "False", v1alpha1.ReasonLinkDown, "Connected"},
		"revoked":                        {over(good, accepted(good)), "Revoked", "False", v1alpha1.ReasonRevoked, "Revoked"},
		"the_relay_is_lost":              {reports.View{Contact: reports.Lost, Report: over(good, accepted(good)).Report}, "Active", "Unknown", v1alpha1.ReasonRelayUnreachable, "cannot"},
		"the_operator_has_just_started":  {reports.View{}, "Active", "", v1alpha1.ReasonPending, "first report"},
	} {
		t.Run(name, func(t *testing.T) {
			p := peer(tc.state, address)
			connected, _ := Connected(tc.view, p, noon)
			got := Redundant(connected, Find(tc.view.Report, "bravo"))
			if got.Status != tc.status || got.Reason != tc.reason || !strings.Contains(got.Message, tc.says) {
				t.Errorf("got %+v, want %q for %s with %q", got, tc.status, tc.reason, tc.says)
			}
		})
	}
}

func TestOffer(t *testing.T) {
	offered := func(age time.Duration, reason string) reports.View {
		v := over(path("a:1", up, up, up))
		v.Report.Peers[0].Offer = &report.Offer{ReceivedAt: noon.Add(-age), Error: reason}
		return v
	}
	young := reached(noon.Add(-time.Second), up, up)
	for name, tc := range map[string]struct {
		view   reports.View
		state  v1alpha1.PeerState
		counts bool
		status metav1.ConditionStatus
		reason string
		says   string
		again  time.Duration
	}{
		"a_fresh_offer":          {offered(time.Minute, ""), "Active", true, "", "", "", 2*time.Minute + time.Second},
		"as_old_as_it_may_be":    {offered(StaleAfter, ""), "Suspended", true, "", "", "", time.Second},
		"a_stale_offer":          {offered(StaleAfter+time.Second, ""), "Active", false, "Unknown", v1alpha1.ReasonOfferStale, "11:56:59Z", 0},
		"why_no_newer_one_came":  {offered(time.Hour, "their clock is wrong"), "Active", false, "Unknown", v1alpha1.ReasonOfferStale, "their clock is wrong", 0},
		"none_yet":               {young, "Active", false, "", v1alpha1.ReasonPending, "waiting", 44 * time.Second},
		"none":                   {over(path("a:1", up, up, up)), "Active", false, "Unknown", v1alpha1.ReasonNoOffer, "certlink", 0},
		"we_revoked_the_peer":    {offered(0, ""), "Revoked", false, "Unknown", v1alpha1.ReasonRevoked, "Revoked", 0},
		"the_relay_is_not_there": {reports.View{Contact: reports.Undeployed}, "Active", false, "Unknown", v1alpha1.ReasonRelayUnreachable, "LocalCERT", 0},
		"nothing_was_looked_at":  {reports.View{}, "Active", false, "", v1alpha1.ReasonPending, "first report", 0},
	} {
		t.Run(name, func(t *testing.T) {
			offer, fact, again := Offer(tc.view, peer(tc.state), noon)
			if (offer != nil) != tc.counts || fact.Status != tc.status || fact.Reason != tc.reason || !strings.Contains(fact.Message, tc.says) || again != tc.again {
				t.Errorf("got %v, %+v, %v", offer, fact, again)
			}
		})
	}
}

func TestWithheld(t *testing.T) {
	for state, want := range map[string]string{
		"Active": "", "": "", "Suspended": v1alpha1.ReasonPeerSuspendedUs, "Drained": v1alpha1.ReasonPeerDrainedUs,
		"Revoked": v1alpha1.ReasonPeerRevokedUs, "Quarantined": v1alpha1.ReasonUnknown,
	} {
		fact, holds := Withheld(&report.Offer{State: state})
		if fact.Reason != want || holds != (want != "") {
			t.Errorf("%q: got %+v", state, fact)
		}
		if state == "Quarantined" && fact.Status != metav1.ConditionUnknown {
			t.Error("a state of a newer release is a refusal")
		}
	}
}

func TestBudget(t *testing.T) {
	n := func(v int32) *int32 { return &v }
	for name, tc := range map[string]struct {
		budget v1alpha1.DetectionBudget
		want   time.Duration
	}{
		"defaults":            {v1alpha1.DetectionBudget{}, 300 * time.Millisecond},
		"as_fast_as_possible": {v1alpha1.DetectionBudget{IntervalMilliseconds: n(50), Misses: n(2)}, 100 * time.Millisecond},
		"slow":                {v1alpha1.DetectionBudget{IntervalMilliseconds: n(60000), Misses: n(100)}, 100 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Budget(tc.budget); got != tc.want {
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
