// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/statuscheck"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

func bravo() *v1alpha1.PeerCERT {
	return &v1alpha1.PeerCERT{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "bravo", Generation: 1},
		Spec: v1alpha1.PeerCERTSpec{
			Identity:  v1alpha1.Identity{DisplayName: "CERT Bravo", TrustDomain: "bravo.example"},
			Endpoints: []v1alpha1.Endpoint{{Address: "relay.bravo.example:8443"}},
			State:     v1alpha1.PeerActive,
		},
	}
}

// our root and card, as world has them.
const (
	root    = "1111"
	ourCard = "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"
)

// world is a relay that runs the peer and reports all well: two paths, one that
// each side dials, an offer of a minute ago and trust as declared.
func world(p *v1alpha1.PeerCERT, bundle string, now time.Time) *seen {
	cfg := &config.Config{Peers: []config.Peer{relayconfig.Peer(p, bundle)}}
	up := relayreport.Direction{State: relayreport.Up}
	proven := func(address string, accepted bool) relayreport.PathState {
		return relayreport.PathState{
			Address: address, Accepted: accepted, State: relayreport.Up, Outbound: relayreport.Up, Inbound: relayreport.Up,
			Since: now.Add(-time.Hour), RoundTripMilliseconds: 3, Message: "fine",
		}
	}
	local := &v1alpha1.LocalCERT{Spec: v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{TrustDomain: "alfa.example"}}}
	local.Status.Fingerprint = ourCard
	return &seen{
		local:  local,
		bundle: relayconfig.Bundle{PEM: bundle},
		view: reports.View{
			Contact: reports.Reached, Wanted: cfg, Live: cfg, Checksum: "x", WrittenAt: now.Add(-time.Hour),
			Report: &relayreport.Report{
				Identity: relayreport.IdentityState{Root: root, Roots: []string{root}},
				Peers: []relayreport.Peer{{
					Name: "bravo", State: string(p.Spec.State), Outbound: up, Inbound: up,
					TLS:                   &relayreport.TLS{Version: "TLS 1.3", Group: "X25519MLKEM768", PeerNotAfter: now.Add(time.Hour)},
					Paths:                 []relayreport.PathState{proven("relay.bravo.example:8443", false), proven("relay.alfa.example:8443", true)},
					DetectionMilliseconds: 990,
					Offer: &relayreport.Offer{
						ReceivedAt: now.Add(-time.Minute), Versions: []int32{1}, Version: 1, Release: "v0.2.0", State: "Active",
						Card: ourCard, AcceptedRoots: []string{root}, SeenRoot: root,
						Outbound: relayreport.Up, Inbound: relayreport.Up, PathsUp: 2,
					},
					Trust: &relayreport.Trust{Roots: []string{"2222"}, Fingerprint: "bbbb"},
				}},
			},
		},
	}
}

// the is the peer in a world's report.
func the(s *seen) *relayreport.Peer { return &s.view.Report.Peers[0] }

func run(t *testing.T, p *v1alpha1.PeerCERT, s *seen, now time.Time) (map[string]string, time.Duration) {
	t.Helper()
	edit := status.NewEditor(&p.Status.Conditions, p.Generation, now)
	outcome := report(p, s, edit, now)
	if edit.Conclude(outcome.Verdict) {
		p.Status.ObservedGeneration = p.Generation
	}
	if err := statuscheck.Check("PeerCERT", p.Generation, p.Status.ObservedGeneration, p.Status.Conditions); err != nil {
		t.Errorf("the status is not legal: %v", err)
	}
	got := map[string]string{}
	for _, c := range p.Status.Conditions {
		got[c.Type] = string(c.Status) + "/" + c.Reason
	}
	return got, outcome.Again
}

// well are the conditions of a world in which nothing is wrong.
func well(but ...string) map[string]string {
	out := map[string]string{
		"Ready": "True/Reconciled", "Connected": "True/ProbesAnswered", "Redundant": "True/PathsProven",
		"PeerAccepted": "True/Accepted", "TrustInSync": "True/InSync", "Suspended": "False/Active",
	}
	for _, b := range but {
		name, value, _ := strings.Cut(b, "=")
		out[name] = value
	}
	return out
}

func TestReport(t *testing.T) {
	now := time.Now()
	ca := testca.New(t, "bravo.example")
	expired := testca.New(t, "bravo.example", testca.Options{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})
	future := testca.New(t, "bravo.example", testca.Options{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)})
	const missing = "/LocalCERTMissing"
	for name, tc := range map[string]struct {
		bundle string
		state  v1alpha1.PeerState
		change func(*v1alpha1.PeerCERT, *seen)
		want   map[string]string
	}{
		"well":      {ca.Bundle(), "Active", nil, well()},
		"suspended": {ca.Bundle(), "Suspended", nil, well("Suspended=True/Suspended")},
		"draining": {ca.Bundle(), "Drained", func(_ *v1alpha1.PeerCERT, s *seen) { the(s).Tunnels = 3 },
			well("Suspended=True/Draining")},
		"drained": {ca.Bundle(), "Drained", nil, well("Suspended=True/Drained")},
		"a_relay_that_does_not_drain_yet": {ca.Bundle(), "Drained", func(_ *v1alpha1.PeerCERT, s *seen) { the(s).State = "Active" },
			well("Suspended=True/Draining")},
		"revoked": {ca.Bundle(), "Revoked", nil, well("Connected=False/Revoked", "Redundant=False/Revoked",
			"PeerAccepted=Unknown/Revoked", "TrustInSync=Unknown/Revoked", "Suspended=True/Revoked")},
		"no_LocalCERT": {ca.Bundle(), "Active", func(_ *v1alpha1.PeerCERT, s *seen) { s.local = nil },
			well("Ready=False"+missing, "Reconciling=True"+missing, "Connected=False"+missing, "Redundant=False"+missing,
				"PeerAccepted=Unknown"+missing, "TrustInSync=Unknown"+missing)},
		"the_relay_is_lost": {ca.Bundle(), "Active", func(_ *v1alpha1.PeerCERT, s *seen) { s.view.Contact = reports.Lost },
			well("Ready=Unknown/RelayUnreachable", "Connected=Unknown/RelayUnreachable", "Redundant=Unknown/RelayUnreachable",
				"PeerAccepted=Unknown/RelayUnreachable", "TrustInSync=Unknown/RelayUnreachable")},
		"the_first_visit": {ca.Bundle(), "Active", func(_ *v1alpha1.PeerCERT, s *seen) { s.view = reports.View{} },
			well("Ready=Unknown/Pending", "Connected=Unknown/Pending", "Redundant=Unknown/Pending",
				"PeerAccepted=Unknown/Pending", "TrustInSync=Unknown/Pending")},
		"an_expired_bundle": {expired.Bundle(), "Active", nil,
			well("Ready=False/PeerCertificateExpired", "Stalled=True/PeerCertificateExpired")},
		"an_expired_bundle_that_a_learned_one_replaces": {expired.Bundle(), "Active",
			func(_ *v1alpha1.PeerCERT, s *seen) { the(s).Trust.Learned = true }, well("TrustInSync=True/ManifestOutdated")},
		"a_ConfigMap_that_is_gone_while_the_relay_has_the_bundle": {ca.Bundle(), "Active", func(_ *v1alpha1.PeerCERT, s *seen) {
			s.bundle = relayconfig.Bundle{Missing: "there is no ConfigMap"}
		}, well("Ready=False/BundleNotFound", "Stalled=True/BundleNotFound")},
		"a_ConfigMap_that_is_gone_of_a_peer_that_became_another": {ca.Bundle(), "Active", func(p *v1alpha1.PeerCERT, s *seen) {
			s.bundle = relayconfig.Bundle{Missing: "there is no ConfigMap"}
			p.Spec.Identity.TrustDomain = "charlie.example"
		}, well("Ready=False/BundleNotFound", "Stalled=True/BundleNotFound", "Connected=False/BundleNotFound", "Redundant=False/BundleNotFound",
			"PeerAccepted=Unknown/BundleNotFound", "TrustInSync=Unknown/BundleNotFound")},
		"a_bundle_that_is_not_valid_yet": {future.Bundle(), "Active", nil,
			well("Ready=False/PeerCertificateExpired", "Stalled=True/PeerCertificateExpired")},
		"an_expired_CA_beside_a_valid_one": {expired.Bundle() + ca.Bundle(), "Active", nil, well()},
		"a_change_that_the_relay_has_not_heard_of": {ca.Bundle(), "Active", func(p *v1alpha1.PeerCERT, s *seen) {
			p.Spec.Endpoints[0].Address = "elsewhere.bravo.example:8443"
			s.view.WrittenAt = now
		}, well("Ready=False/Progressing", "Reconciling=True/Progressing")},
		"a_relay_of_the_release_before": {ca.Bundle(), "Active", func(_ *v1alpha1.PeerCERT, s *seen) {
			s.view.Report.Identity = relayreport.IdentityState{}
			the(s).Offer, the(s).Trust = nil, nil
			the(s).Paths = []relayreport.PathState{{Address: "relay.bravo.example:8443", State: relayreport.Up}}
		}, well("Redundant=False/SinglePath", "PeerAccepted=Unknown/NoOffer", "TrustInSync=Unknown/NoOffer")},
	} {
		t.Run(name, func(t *testing.T) {
			p := bravo()
			p.Spec.State = tc.state
			s := world(p, tc.bundle, now)
			if tc.change != nil {
				tc.change(p, s)
			}
			got, _ := run(t, p, s, now)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatWasDrainedStaysDrainedWhileNobodyCanLook(t *testing.T) {
	ca := testca.New(t, "bravo.example")
	p := bravo()
	p.Spec.State = v1alpha1.PeerDrained
	s := world(p, ca.Bundle(), noon)
	run(t, p, s, noon)
	s.view.Contact = reports.Lost
	if got, _ := run(t, p, s, noon); got["Suspended"] != "True/Drained" {
		t.Errorf("got %s while the relay is lost", got["Suspended"])
	}
	s.view = reports.View{}
	if got, _ := run(t, p, s, noon); got["Suspended"] != "True/Drained" {
		t.Errorf("got %s after a restart of the operator", got["Suspended"])
	}
	p.Generation++ // suspended and drained again: nothing of it is known
	if got, _ := run(t, p, s, noon); got["Suspended"] != "True/Draining" {
		t.Errorf("got %s for another spec", got["Suspended"])
	}
}

func TestWhatCannotBeReadIsPending(t *testing.T) {
	p := bravo()
	pending(status.NewEditor(&p.Status.Conditions, 1, time.Now()))
	if len(p.Status.Conditions) != 5 || p.Status.Conditions[0].Status != metav1.ConditionUnknown {
		t.Errorf("got %+v", p.Status.Conditions)
	}
}

func TestTunnelsThatEndOneByOneAreFewWrites(t *testing.T) {
	said := map[string]bool{}
	for n := range int64(2000) {
		said[roughly(n)] = true
	}
	if len(said) != 13 {
		t.Errorf("%d messages", len(said))
	}
}
