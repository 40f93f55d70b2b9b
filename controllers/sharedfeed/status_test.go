// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/statuscheck"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

var noon = time.Date(2026, 1, 2, 12, 0, 30, 0, time.UTC)

func feed(direction v1alpha1.FeedDirection) *v1alpha1.SharedFeed {
	f := &v1alpha1.SharedFeed{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "threats", Generation: 1},
		Spec:       v1alpha1.SharedFeedSpec{Direction: direction},
	}
	bravo := v1alpha1.PeerReference{Name: "bravo"}
	if direction == v1alpha1.FeedImport {
		f.Spec.Import = &v1alpha1.FeedImportSpec{PeerRef: bravo, Collection: "threats"}
		return f
	}
	f.Spec.Export = &v1alpha1.FeedExportSpec{
		PeerRefs: []v1alpha1.PeerReference{bravo, {Name: "charlie"}},
		Sources:  []v1alpha1.FeedSource{{Name: "attack"}},
		Rule:     v1alpha1.FeedRule{MaxTLP: v1alpha1.TLPGreen},
	}
	return f
}

// world is a relay that runs everything, with a report.
func world(r *relayreport.Report) *seen {
	peers := []config.Peer{{Name: "bravo"}, {Name: "charlie"}}
	cfg := &config.Config{
		Peers:   peers,
		Imports: []config.Import{{Name: "threats", Peer: "bravo", Collection: "threats"}},
		Exports: []config.Export{{Name: "threats", Peers: []string{"bravo", "charlie"}, Sources: []config.Source{{Name: "attack"}}, Rule: config.Rule{MaxTLP: "GREEN"}}},
	}
	s := &seen{
		local: &v1alpha1.LocalCERT{},
		peers: map[string]*v1alpha1.PeerCERT{},
		view:  reports.View{Contact: reports.Reached, Report: r, Wanted: cfg, Live: cfg, Checksum: "x", WrittenAt: noon.Add(-time.Hour)},
	}
	for _, p := range peers {
		s.peers[p.Name] = &v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Name: p.Name}, Spec: v1alpha1.PeerCERTSpec{State: v1alpha1.PeerActive}}
	}
	return s
}

func run(t *testing.T, f *v1alpha1.SharedFeed, s *seen) (conditions map[string]string, messages string, again time.Duration) {
	t.Helper()
	edit := status.NewEditor(&f.Status.Conditions, f.Generation, noon)
	outcome := report(f, s, edit, noon)
	if edit.Conclude(outcome.Verdict) {
		f.Status.ObservedGeneration = f.Generation
	}
	if err := statuscheck.Check("SharedFeed", f.Generation, f.Status.ObservedGeneration, f.Status.Conditions); err != nil {
		t.Errorf("the status is not legal: %v", err)
	}
	conditions = map[string]string{}
	for _, c := range f.Status.Conditions {
		conditions[c.Type] = string(c.Status) + "/" + c.Reason
		messages += c.Message + "\n"
	}
	return conditions, messages, outcome.Again
}

func TestImport(t *testing.T) {
	minute := noon.Truncate(time.Minute)
	for name, tc := range map[string]struct {
		imported          relayreport.Import
		change            func(*seen)
		delivering, fresh string
		again             time.Duration
		says              string
	}{
		"pulled":               {relayreport.Import{LastSuccess: minute}, nil, "True/Pulled", "True/Pulled", 0, "bravo"},
		"an_old_success_holds": {relayreport.Import{LastSuccess: minute.Add(-24 * time.Hour)}, nil, "True/Pulled", "True/Pulled", 0, ""},
		"not_pulled_yet":       {relayreport.Import{}, nil, "Unknown/Pending", "Unknown/Pending", 0, ""},
		"never_succeeded":      {relayreport.Import{Failing: noon, Error: "404"}, nil, "False/PullFailed", "False/PullFailed", 0, "404"},
		"failing_for_a_moment": {relayreport.Import{LastSuccess: minute, Failing: noon, Error: "404"}, nil, "False/PullFailed", "True/Pulled", 271 * time.Second, ""},
		"failing_for_long":     {relayreport.Import{LastSuccess: minute.Add(-time.Hour), Failing: noon, Error: "404"}, nil, "False/PullFailed", "False/PullFailed", 0, "2026-01-02T11:00:00Z"},
		"full":                 {relayreport.Import{LastSuccess: minute, QuotaReached: true}, nil, "False/QuotaReached", "True/Pulled", 0, "maxObjects"},
		"a_suspended_peer":     {relayreport.Import{LastSuccess: minute}, func(s *seen) { s.peers["bravo"].Spec.State = v1alpha1.PeerSuspended }, "False/Suspended", "False/Suspended", 0, "spec.state of PeerCERT bravo is Suspended"},
		"a_drained_peer":       {relayreport.Import{LastSuccess: minute}, func(s *seen) { s.peers["bravo"].Spec.State = v1alpha1.PeerDrained }, "False/Drained", "False/Drained", 0, "bravo is Drained"},
		"a_revoked_peer":       {relayreport.Import{}, func(s *seen) { s.peers["bravo"].Spec.State = v1alpha1.PeerRevoked }, "False/Revoked", "False/Revoked", 0, "bravo is Revoked: nothing of this feed"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.imported.Name, tc.imported.Stored = "threats", 7
			s := world(&relayreport.Report{Imports: []relayreport.Import{tc.imported}})
			if tc.change != nil {
				tc.change(s)
			}
			f := feed(v1alpha1.FeedImport)
			got, messages, again := run(t, f, s)
			if got["Delivering"] != tc.delivering || got["Fresh"] != tc.fresh || got["Ready"] != "True/Reconciled" || again != tc.again {
				t.Errorf("got %v, again in %v\n%s", got, again, messages)
			}
			if !strings.Contains(messages, tc.says) {
				t.Errorf("no message says %q:\n%s", tc.says, messages)
			}
			if *f.Status.Stored != 7 || f.Status.Shared != nil || f.Status.Held != nil {
				t.Errorf("unexpected counts: %+v", f.Status)
			}
		})
	}
}

func TestExport(t *testing.T) {
	held := []relayreport.Held{{Reason: "TLPAboveCeiling: RED", Objects: 2}, {Reason: "Unmarked", Objects: 5}}
	both := []relayreport.ExportPeer{{Peer: "charlie", Shared: 9}, {Peer: "bravo", Shared: 3, Held: held}}
	for name, tc := range map[string]struct {
		exported          relayreport.Export
		change            func(*seen)
		delivering, fresh string
		shared, held      int64
		says              string
	}{
		"where_peers_differ_the_smallest_counts": {relayreport.Export{Stored: 10, Peers: both}, nil, "True/Exporting", "True/Decided", 3, 7, ""},
		"nothing_stored":                         {relayreport.Export{Peers: []relayreport.ExportPeer{{Peer: "bravo"}}}, nil, "False/NothingStored", "True/Decided", 0, 0, ""},
		"nothing_allowed":                        {relayreport.Export{Stored: 7, Peers: []relayreport.ExportPeer{{Peer: "bravo", Held: held}}}, nil, "False/NothingAllowed", "True/Decided", 0, 7, ""},
		"undecided_for_a_moment":                 {relayreport.Export{Stored: 7, Undecided: 7, Peers: []relayreport.ExportPeer{{Peer: "bravo"}}}, nil, "Unknown/Pending", "Unknown/Pending", 0, 0, ""},
		"undecided_for_long":                     {relayreport.Export{Stored: 10, Undecided: 1, Peers: both}, func(s *seen) { s.undecidedFor = time.Minute }, "True/Exporting", "False/Deciding", 3, 7, ""},
		"a_decision_that_fails":                  {relayreport.Export{Stored: 10, Undecided: 1, Error: "disk full", Peers: both}, nil, "True/Exporting", "False/Deciding", 3, 7, ""},
		"one_peer_suspended":                     {relayreport.Export{Stored: 10, Peers: both}, func(s *seen) { s.peers["bravo"].Spec.State = v1alpha1.PeerSuspended }, "True/Exporting", "True/Decided", 3, 7, "offered to charlie; not to all: spec.state of PeerCERT bravo is Suspended"},
		"all_peers_suspended": {relayreport.Export{Stored: 10, Peers: both}, func(s *seen) {
			s.peers["bravo"].Spec.State, s.peers["charlie"].Spec.State = v1alpha1.PeerSuspended, v1alpha1.PeerRevoked
		}, "False/Suspended", "True/Decided", 3, 7, "charlie is Revoked, bravo is Suspended"},
		"all_peers_revoked": {relayreport.Export{Stored: 10, Peers: both}, func(s *seen) {
			s.peers["bravo"].Spec.State, s.peers["charlie"].Spec.State = v1alpha1.PeerRevoked, v1alpha1.PeerRevoked
		}, "False/Revoked", "True/Decided", 3, 7, "bravo, charlie is Revoked: nothing of this feed"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.exported.Name = "threats"
			s := world(&relayreport.Report{Exports: []relayreport.Export{tc.exported}})
			if tc.change != nil {
				tc.change(s)
			}
			f := feed(v1alpha1.FeedExport)
			got, messages, _ := run(t, f, s)
			if got["Delivering"] != tc.delivering || got["Fresh"] != tc.fresh || got["Ready"] != "True/Reconciled" {
				t.Errorf("got %v\n%s", got, messages)
			}
			if !strings.Contains(messages, tc.says) {
				t.Errorf("no message says %q:\n%s", tc.says, messages)
			}
			if *f.Status.Shared != tc.shared || *f.Status.Held != tc.held {
				t.Errorf("shared %d, held %d; want %d and %d", *f.Status.Shared, *f.Status.Held, tc.shared, tc.held)
			}
		})
	}
}

func TestOurOwnSide(t *testing.T) {
	for name, tc := range map[string]struct {
		change     func(*seen)
		ready      string
		delivering string
	}{
		"no_LocalCERT":                {func(s *seen) { s.local = nil }, "False/LocalCERTMissing", "True/Exporting"},
		"a_peer_is_missing":           {func(s *seen) { delete(s.peers, "charlie") }, "False/PeerNotFound", "True/Exporting"},
		"a_peer_is_not_usable":        {func(s *seen) { s.view.Wanted = &config.Config{Peers: []config.Peer{{Name: "bravo"}}} }, "False/PeerNotReady", "True/Exporting"},
		"the_relay_is_lost":           {func(s *seen) { s.view.Contact = reports.Lost }, "Unknown/RelayUnreachable", "Unknown/RelayUnreachable"},
		"there_is_no_relay_yet":       {func(s *seen) { s.view = reports.View{Contact: reports.Undeployed} }, "False/Progressing", "Unknown/RelayUnreachable"},
		"the_operator_has_just_begun": {func(s *seen) { s.view = reports.View{} }, "Unknown/Pending", "Unknown/Pending"},
		"the_relay_has_not_heard_yet": {func(s *seen) {
			s.view.Live = &config.Config{}
			s.view.WrittenAt = noon
			s.view.Report = &relayreport.Report{}
		}, "False/Progressing", "Unknown/Pending"},
		"the_relay_does_not_want_to_hear": {func(s *seen) { s.view.Live = &config.Config{} }, "False/RelayOutdated", "True/Exporting"},
	} {
		t.Run(name, func(t *testing.T) {
			s := world(&relayreport.Report{Exports: []relayreport.Export{{Name: "threats", Stored: 1, Peers: []relayreport.ExportPeer{{Peer: "bravo", Shared: 1}}}}})
			tc.change(s)
			got, messages, _ := run(t, feed(v1alpha1.FeedExport), s)
			if got["Ready"] != tc.ready || got["Delivering"] != tc.delivering {
				t.Errorf("got %v\n%s", got, messages)
			}
		})
	}
}

func TestSince(t *testing.T) {
	key := types.NamespacedName{Name: "threats"}
	var s since
	for _, step := range []struct {
		holds bool
		at    time.Duration
		want  time.Duration
	}{{true, 0, 0}, {true, 5 * time.Second, 5 * time.Second}, {false, 6 * time.Second, 0}, {true, 7 * time.Second, 0}, {true, 8 * time.Second, time.Second}} {
		if got := s.holds(key, step.holds, noon.Add(step.at)); got != step.want {
			t.Errorf("at %v: %v, want %v", step.at, got, step.want)
		}
	}
	s.forget(key)
	if got := s.holds(key, true, noon.Add(time.Hour)); got != 0 {
		t.Errorf("after it was forgotten: %v", got)
	}
}
