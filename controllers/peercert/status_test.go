// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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

// world is a relay that runs the peer and reports the link up.
func world(p *v1alpha1.PeerCERT, bundle string, now time.Time) *seen {
	cfg := &config.Config{Peers: []config.Peer{relayconfig.Peer(p, bundle)}}
	up := relayreport.Direction{State: relayreport.Up}
	return &seen{
		local:  &v1alpha1.LocalCERT{Spec: v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{TrustDomain: "alfa.example"}}},
		bundle: relayconfig.Bundle{PEM: bundle},
		view: reports.View{
			Contact: reports.Reached, Wanted: cfg, Live: cfg, Checksum: "x", WrittenAt: now.Add(-time.Hour),
			Report: &relayreport.Report{Peers: []relayreport.Peer{{
				Name: "bravo", Outbound: up, Inbound: up,
				TLS: &relayreport.TLS{Version: "TLS 1.3", Group: "X25519MLKEM768", PeerNotAfter: now.Add(time.Hour)},
				Paths: []relayreport.PathState{
					{Address: "relay.bravo.example:8443", State: relayreport.Up, RoundTripMilliseconds: 3, Message: "fine"},
					{Address: "sat.bravo.example:8443", State: relayreport.Down, Message: strings.Repeat("x", 2000)},
				},
			}}},
		},
	}
}

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

func TestReport(t *testing.T) {
	now := time.Now()
	ca := testca.New(t, "bravo.example")
	expired := testca.New(t, "bravo.example", testca.Options{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})
	future := testca.New(t, "bravo.example", testca.Options{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)})
	for name, tc := range map[string]struct {
		bundle string
		change func(*v1alpha1.PeerCERT, *seen)
		want   map[string]string
	}{
		"well": {ca.Bundle(), nil,
			map[string]string{"Ready": "True/Reconciled", "Connected": "True/ProbesAnswered", "Suspended": "False/Active"}},
		"suspended": {ca.Bundle(), func(p *v1alpha1.PeerCERT, s *seen) {
			p.Spec.State = v1alpha1.PeerSuspended
			s.view.Wanted.Peers[0].State = config.Suspended
		}, map[string]string{"Ready": "True/Reconciled", "Connected": "True/ProbesAnswered", "Suspended": "True/Suspended"}},
		"no_LocalCERT": {ca.Bundle(), func(_ *v1alpha1.PeerCERT, s *seen) { s.local = nil },
			map[string]string{"Ready": "False/LocalCERTMissing", "Reconciling": "True/LocalCERTMissing", "Connected": "False/LocalCERTMissing", "Suspended": "False/Active"}},
		"an_expired_bundle": {expired.Bundle(), nil,
			map[string]string{"Ready": "False/PeerCertificateExpired", "Stalled": "True/PeerCertificateExpired", "Connected": "True/ProbesAnswered", "Suspended": "False/Active"}},
		"a_bundle_that_is_not_valid_yet": {future.Bundle(), nil,
			map[string]string{"Ready": "False/PeerCertificateExpired", "Stalled": "True/PeerCertificateExpired", "Connected": "True/ProbesAnswered", "Suspended": "False/Active"}},
		"an_expired_CA_beside_a_valid_one": {expired.Bundle() + ca.Bundle(), nil,
			map[string]string{"Ready": "True/Reconciled", "Connected": "True/ProbesAnswered", "Suspended": "False/Active"}},
		"a_change_that_the_relay_has_not_heard_of": {ca.Bundle(), func(p *v1alpha1.PeerCERT, s *seen) {
			p.Spec.Endpoints[0].Address = "elsewhere.bravo.example:8443"
			s.view.WrittenAt = now
		}, map[string]string{"Ready": "False/Progressing", "Reconciling": "True/Progressing", "Connected": "True/ProbesAnswered", "Suspended": "False/Active"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := bravo()
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

func TestStatusFields(t *testing.T) {
	now := time.Now()
	ca := testca.New(t, "bravo.example")
	p := bravo()
	s := world(p, ca.Bundle(), now)
	_, again := run(t, p, s, now)
	if len(p.Status.Paths) != 2 || p.Status.Paths[0].Message != "" || len(p.Status.Paths[1].Message) != 1024 {
		t.Errorf("unexpected paths: %+v", p.Status.Paths)
	}
	if end := ca.Root.NotAfter.Sub(now); again < end || again > end+2*time.Second {
		t.Errorf("looks again in %v, when the bundle ends in %v", again, end)
	}
	t.Run("what_moves_all_the_time_is_not_in_them", func(t *testing.T) {
		before := p.DeepCopy()
		s.view.Report.Peers[0].Paths[0].RoundTripMilliseconds = 99
		run(t, p, s, now.Add(time.Second))
		if diff := cmp.Diff(before.Status, p.Status); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("words_of_a_path_stay_as_they_are_read_back", func(t *testing.T) {
		s.view.Report.Peers[0].Paths[1].Message = "x\n" + strings.Repeat("é", 800)
		run(t, p, s, now)
		got := p.Status.Paths[1].Message
		if !utf8.ValidString(got) || len(got) > 1024 || strings.Contains(got, "\n") {
			t.Errorf("the API server would change %q", got)
		}
	})
	t.Run("a_peer_that_is_left_out_has_no_link", func(t *testing.T) {
		s.bundle = relayconfig.Bundle{PEM: "damaged"}
		run(t, p, s, now)
		if p.Status.TLS != nil || p.Status.Paths != nil || p.Status.Fingerprint != "" {
			t.Errorf("unexpected status: %+v", p.Status)
		}
	})
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	p := bravo()
	state := func(s metav1.ConditionStatus) int {
		p.Status.Conditions = []metav1.Condition{{Type: "Connected", Status: s}}
		m.observe(p)
		n, err := testutil.GatherAndCount(registry, "certlink_operator_peer_connected")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if state("True") != 1 || testutil.ToFloat64(m.connected) != 1 {
		t.Error("a link that is up is not 1")
	}
	if state("False") != 1 || testutil.ToFloat64(m.connected) != 0 {
		t.Error("a link that is down is not 0")
	}
	if state("Unknown") != 0 {
		t.Error("what cannot be told has a value")
	}
	p.Spec.State = v1alpha1.PeerRevoked
	if state("False") != 0 {
		t.Error("a link that we cut ourselves would ring an alarm for ever")
	}
	p.Spec.State = v1alpha1.PeerActive
	state("True")
	m.forget(types.NamespacedName{Namespace: "cert", Name: "bravo"})
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 0 {
		t.Errorf("a deleted peer leaves %d series (%v)", n, err)
	}
}
