// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestStatusShowsBothViews(t *testing.T) {
	ca := testca.New(t, "bravo.example")
	p := bravo()
	s := world(p, ca.Bundle(), noon)
	run(t, p, s, noon)
	hour, minute, two := metav1.NewTime(noon.Add(-time.Hour)), metav1.NewTime(noon.Add(-time.Minute)), int32(2)
	end := metav1.NewTime(noon.Add(time.Hour))
	want := v1alpha1.PeerCERTStatus{
		ObservedGeneration:    1,
		Conditions:            p.Status.Conditions,
		Fingerprint:           p.Status.Fingerprint,
		DetectionMilliseconds: 990,
		ProtocolVersion:       1,
		TLS:                   &v1alpha1.PeerTLS{Version: "TLS 1.3", Group: "X25519MLKEM768", PeerNotAfter: &end},
		Trust:                 &v1alpha1.PeerTrustStatus{Fingerprint: "bbbb", Source: "Spec"},
		PeerReport: &v1alpha1.PeerReport{
			State: "Active", Outbound: "Up", Inbound: "Up", PathsUp: &two, Release: "v0.2.0",
			CardFingerprint: ourCard, ObservedTime: &minute,
		},
		Paths: []v1alpha1.PeerPath{
			{Address: "relay.bravo.example:8443", Direction: "Dialed", State: "Up", Outbound: "Up", Inbound: "Up", SinceTime: &hour},
			{Address: "relay.alfa.example:8443", Direction: "Accepted", State: "Up", Outbound: "Up", Inbound: "Up", SinceTime: &hour},
		},
	}
	if diff := cmp.Diff(want, p.Status); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTheSteadyStateWritesNothing plays an hour in which nothing happens that a
// person would act on.
func TestTheSteadyStateWritesNothing(t *testing.T) {
	ca := testca.New(t, "bravo.example")
	p := bravo()
	s := world(p, ca.Bundle(), noon)
	run(t, p, s, noon)
	before := p.DeepCopy()
	for minute := range 60 {
		now := noon.Add(time.Duration(minute) * time.Minute)
		the(s).Offer.ReceivedAt = now.Add(-time.Duration(minute%3) * 30 * time.Second)
		the(s).DetectionMilliseconds = 990 - 10*int64(minute%5)
		the(s).TLS.PeerNotAfter = noon.Add(time.Hour)
		path := &the(s).Paths[1]
		path.RoundTripMilliseconds = float64(minute)
		path.State, path.Since = relayreport.Up, noon.Add(-time.Hour)
		if minute%7 == 6 {
			path.State, path.Since = relayreport.Suspect, now.Add(-time.Second)
		}
		if _, again := run(t, p, s, now); again <= 0 {
			t.Fatalf("minute %d: never looks again whether the offer is stale", minute)
		}
		if diff := cmp.Diff(before.Status, p.Status); diff != "" {
			t.Fatalf("minute %d (-before +after):\n%s", minute, diff)
		}
	}
}

func TestAPathThatStaysSuspectIsShown(t *testing.T) {
	ca := testca.New(t, "bravo.example")
	p := bravo()
	s := world(p, ca.Bundle(), noon)
	run(t, p, s, noon)
	the(s).Paths[0].State, the(s).Paths[0].Since = relayreport.Suspect, noon.Add(-4*time.Second)
	if _, again := run(t, p, s, noon); p.Status.Paths[0].State != v1alpha1.PathUp || again != 6*time.Second {
		t.Errorf("%s, looks again in %v", p.Status.Paths[0].State, again)
	}
	if run(t, p, s, noon.Add(6*time.Second)); p.Status.Paths[0].State != v1alpha1.PathSuspect {
		t.Errorf("%s after 10 s", p.Status.Paths[0].State)
	}
}

func TestTheAgeOfThePeersViewIsHonest(t *testing.T) {
	ca := testca.New(t, "bravo.example")
	p := bravo()
	s := world(p, ca.Bundle(), noon)
	seenAt := func(now, received time.Duration) time.Duration {
		the(s).Offer.ReceivedAt = noon.Add(received)
		run(t, p, s, noon.Add(now))
		return p.Status.PeerReport.ObservedTime.Sub(noon)
	}
	for i, step := range []struct {
		now, received time.Duration
		change        func()
		want          time.Duration
	}{
		{0, 0, nil, 0},
		{time.Minute, time.Minute, nil, 0}, // says the same
		{2 * time.Minute, 2 * time.Minute, func() { the(s).Offer.Inbound = relayreport.Down }, 2 * time.Minute}, // says something else
		{4 * time.Minute, 3 * time.Minute, nil, 2 * time.Minute},
		{7 * time.Minute, 3 * time.Minute, nil, 3 * time.Minute},    // stays away: this is when the last one came
		{30 * time.Minute, 3 * time.Minute, nil, 3 * time.Minute},   // nothing to write
		{31 * time.Minute, 31 * time.Minute, nil, 31 * time.Minute}, // is back
		{32 * time.Minute, 32 * time.Minute, nil, 31 * time.Minute},
	} {
		if step.change != nil {
			step.change()
		}
		if got := seenAt(step.now, step.received); got != step.want {
			t.Errorf("step %d: says %v, want %v", i, got, step.want)
		}
	}
}

func TestDetectionIsTheWorstCase(t *testing.T) {
	n := func(v int32) *int32 { return &v }
	for name, tc := range map[string]struct {
		misses      int32
		was, report int64
		observed    int64
		want        int64
	}{
		"before_any_report":                    {3, 0, -1, 0, 300},
		"a_round_trip_within_the_budget":       {3, 0, 100, 0, 300},
		"a_long_round_trip":                    {3, 0, 990, 0, 990},
		"it_rises_at_once":                     {3, 990, 1000, 1, 1000},
		"it_falls_by_a_quarter":                {3, 1000, 750, 1, 750},
		"it_does_not_flicker":                  {3, 1000, 760, 1, 1000},
		"another_budget_counts_at_once":        {3, 1000, 990, 0, 990},
		"a_relay_that_starts_changes_nothing":  {3, 1000, -1, 1, 1000},
		"a_budget_that_the_relay_has_not_read": {20, 990, 990, 0, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			p := bravo()
			p.Spec.Detection.Misses = n(tc.misses)
			p.Status.ObservedGeneration, p.Status.DetectionMilliseconds = tc.observed, tc.was
			var found *relayreport.Peer
			if tc.report >= 0 {
				found = &relayreport.Peer{DetectionMilliseconds: tc.report}
			}
			if got := detection(p, found); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// TestWordsOfAPeerCannotSpoilTheStatus: what the API server would refuse, or
// change, never reaches it.
func TestWordsOfAPeerCannotSpoilTheStatus(t *testing.T) {
	ca := testca.New(t, "bravo.example")
	p := bravo()
	s := world(p, ca.Bundle(), noon)
	from := the(s)
	from.Offer.State, from.Offer.Outbound, from.Offer.Inbound, from.Offer.PathsUp = "Quarantined", "Sideways", "", -1
	from.Offer.Release, from.Offer.Card = strings.Repeat("é", 100), strings.Repeat("x", 500)
	from.Offer.Version = -1
	from.Trust.OfferedFingerprint, from.Trust.OfferedBundle = "cccc", "-----BEGIN CERTIFICATE-----"
	from.Paths = nil
	for i := range 40 {
		path := relayreport.PathState{Address: fmt.Sprintf("a%d:1", i/2), State: "Sideways", Message: "x\n" + strings.Repeat("é", 800)}
		from.Paths = append(from.Paths, path)
	}
	run(t, p, s, noon)
	said := p.Status.PeerReport
	if said.State != "Unknown" || said.Outbound != "Unknown" || said.Inbound != "Unknown" || *said.PathsUp != 0 || p.Status.ProtocolVersion != 0 {
		t.Errorf("unexpected words: %+v", said)
	}
	if len(said.Release) > 64 || !utf8.ValidString(said.Release) || len(said.CardFingerprint) > 128 {
		t.Errorf("unbounded words: %+v", said)
	}
	if p.Status.Trust.OfferedBundle != "" {
		t.Error("a bundle with another fingerprint than the one to compare is shown")
	}
	if len(p.Status.Paths) != 16 {
		t.Errorf("%d paths", len(p.Status.Paths))
	}
	for i, path := range p.Status.Paths {
		if path.Address != fmt.Sprintf("a%d:1", i) || path.State != "Unknown" || !utf8.ValidString(path.Message) || len(path.Message) > 1024 || strings.Contains(path.Message, "\n") {
			t.Errorf("path %d: %+v", i, path)
		}
	}
}

func TestAnOfferedBundleIsShownAsItIsToBePasted(t *testing.T) {
	ca, next := testca.New(t, "bravo.example"), testca.New(t, "bravo.example")
	certs, err := card.Certificates(next.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	p := bravo()
	p.Spec.Trust.Rotation = v1alpha1.RotationManual
	s := world(p, ca.Bundle(), noon)
	the(s).Trust.OfferedFingerprint, the(s).Trust.OfferedBundle = card.Fingerprint("bravo.example", certs), "A comment\n"+next.Bundle()
	run(t, p, s, noon)
	if got := p.Status.Trust; got.OfferedBundle != next.Bundle() || got.OfferedFingerprint == "" {
		t.Errorf("got %+v", got)
	}
	the(s).Trust.OfferedFingerprint, the(s).Trust.OfferedBundle = "", ""
	run(t, p, s, noon)
	if got := p.Status.Trust; got.OfferedBundle != "" || got.OfferedFingerprint != "" {
		t.Errorf("still shows %+v", got)
	}
}

func TestAPeerWithoutALinkHasNoneInItsStatus(t *testing.T) {
	ca := testca.New(t, "bravo.example")
	for name, cut := range map[string]func(*v1alpha1.PeerCERT, *seen){
		"revoked": func(p *v1alpha1.PeerCERT, _ *seen) { p.Spec.State = v1alpha1.PeerRevoked },
		"left_out": func(_ *v1alpha1.PeerCERT, s *seen) {
			s.bundle, s.view.Wanted = relayconfig.Bundle{PEM: "damaged"}, &config.Config{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := bravo()
			s := world(p, ca.Bundle(), noon)
			run(t, p, s, noon)
			cut(p, s)
			run(t, p, s, noon)
			if st := p.Status; st.TLS != nil || st.Paths != nil || st.PeerReport != nil || st.Trust != nil || st.ProtocolVersion != 0 {
				t.Errorf("unexpected status: %+v", st)
			}
		})
	}
}

func TestARestartOfTheRelayLeavesTheLastWord(t *testing.T) {
	ca := testca.New(t, "bravo.example")
	p := bravo()
	s := world(p, ca.Bundle(), noon)
	run(t, p, s, noon)
	before := p.DeepCopy()
	s.view.Report.StartedAt = noon
	s.view.Report.Identity = relayreport.IdentityState{}
	fresh := relayreport.Peer{
		Name: "bravo", State: "Active",
		Outbound: relayreport.Direction{State: relayreport.Unknown}, Inbound: relayreport.Direction{State: relayreport.Unknown},
		Paths: []relayreport.PathState{{Address: "relay.bravo.example:8443", State: relayreport.Unknown, Since: noon}},
	}
	for _, peers := range [][]relayreport.Peer{nil, {fresh}} {
		s.view.Report.Peers = peers
		run(t, p, s, noon.Add(time.Second))
		if diff := cmp.Diff(before.Status, p.Status); diff != "" {
			t.Errorf("%d peers (-before +after):\n%s", len(peers), diff)
		}
	}
}
