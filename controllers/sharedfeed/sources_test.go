// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// sourced is an export with one fetched source, and the world in which the relay says
// this of it.
func sourced(said relayreport.Source) (*v1alpha1.SharedFeed, *seen) {
	f := feed(v1alpha1.FeedExport)
	f.Spec.Export.Sources[0].Pull = &v1alpha1.FeedPull{STIX: &v1alpha1.RemoteEndpoint{
		URL: "https://charlie.example/x", SecretRef: &v1alpha1.SecretReference{Name: "charlie"},
	}}
	said.Name = "attack"
	s := world(&relayreport.Report{Exports: []relayreport.Export{{
		Name: "threats", Stored: 12345, Sources: []relayreport.Source{said},
		Peers: []relayreport.ExportPeer{{Peer: "bravo", Shared: 12345}},
	}}})
	s.view.Wanted.Exports[0].Sources[0].Pull = &config.PulledSource{STIX: &config.Remote{URL: "https://charlie.example/x", Directory: "/etc/certlink/secrets/charlie"}}
	s.references = relayconfig.FeedReferences(f)
	s.there = relayconfig.Keys{{Kind: relayconfig.Secret, Name: "charlie"}: {"token"}}
	return f, s
}

func TestSources(t *testing.T) {
	minute := noon.Truncate(time.Minute)
	for name, tc := range map[string]struct {
		said          relayreport.Source
		change        func(*seen)
		fresh, ready  string
		says          string
		again         time.Duration
		stored, wrote int64
	}{
		"it_is_fetched":                 {said: relayreport.Source{Stored: 12345, LastSuccess: minute}, fresh: "True/Decided", stored: 12345, wrote: 12345},
		"it_fails_and_was_fetched_now":  {said: relayreport.Source{Stored: 12345, LastSuccess: minute, Failing: noon, Error: "it is down"}, fresh: "True/Decided", again: 16*time.Minute + 31*time.Second, stored: 12345, wrote: 12345},
		"it_fails_for_long":             {said: relayreport.Source{Stored: 12345, LastSuccess: minute.Add(-18 * time.Minute), Failing: noon, Error: "it is down"}, fresh: "False/SourceFailed", says: `source "attack" was last fetched at 2026-01-02T11:42:00Z: it is down`, stored: 12345, wrote: 12345},
		"it_has_never_been_fetched":     {said: relayreport.Source{Failing: noon, Error: "it is down"}, fresh: "False/SourceFailed", says: "never fetched: it is down", wrote: 12345},
		"it_is_full":                    {said: relayreport.Source{Stored: 12345, LastSuccess: minute, QuotaReached: true}, fresh: "False/QuotaReached", says: "maxObjects", stored: 12345, wrote: 12345},
		"a_long_pull_is_told_in_steps":  {said: relayreport.Source{Stored: 12345, Progress: relayreport.Progress{Started: noon, Percent: 40}}, fresh: "Unknown/Pending", says: `first pull of source "attack"`, stored: 10000, wrote: 10000},
		"the_relay_has_not_looked_yet":  {said: relayreport.Source{}, fresh: "Unknown/Pending", says: `first pull of source "attack"`, wrote: 12345},
		"its_Secret_is_missing":         {said: relayreport.Source{Stored: 12345, LastSuccess: minute}, change: func(s *seen) { s.there = nil }, fresh: "True/Decided", ready: "False/SecretNotFound", says: `spec.export.sources[attack].pull.stix.secretRef: there is no Secret "charlie"`, stored: 12345, wrote: 12345},
		"its_Secret_lacks_the_password": {said: relayreport.Source{Stored: 12345, LastSuccess: minute}, change: func(s *seen) { s.there = relayconfig.Keys{s.references[0].Object: {"username"}} }, fresh: "True/Decided", ready: "False/SecretNotFound", says: `"username" without "password"`, stored: 12345, wrote: 12345},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := sourced(tc.said)
			if tc.change != nil {
				tc.change(s)
			}
			conditions, messages, again := run(t, f, s)
			if tc.ready == "" {
				tc.ready = "True/Reconciled"
			}
			if conditions["Fresh"] != tc.fresh || conditions["Ready"] != tc.ready || !strings.Contains(messages, tc.says) {
				t.Errorf("Fresh %s, Ready %s, want %s, %s with %q\n%s", conditions["Fresh"], conditions["Ready"], tc.fresh, tc.ready, tc.says, messages)
			}
			if tc.again != 0 && again != tc.again {
				t.Errorf("again in %v, want %v", again, tc.again)
			}
			if got := f.Status.Sources[0]; *got.Stored != tc.stored || got.Message != tc.said.Error || *f.Status.Stored != tc.wrote {
				t.Errorf("source %+v, stored %d, want %d and %d", got, *f.Status.Stored, tc.stored, tc.wrote)
			}
		})
	}
}

func TestASourceThatGoesOnSucceedingChangesNothing(t *testing.T) {
	minute := noon.Truncate(time.Minute)
	f, s := sourced(relayreport.Source{Stored: 5, LastSuccess: minute})
	run(t, f, s)
	first := f.Status.DeepCopy()
	for _, step := range []struct {
		name   string
		change func(*relayreport.Source)
		quiet  bool
	}{
		{"a_later_pull", func(r *relayreport.Source) { r.LastSuccess = minute.Add(time.Hour) }, true},
		{"a_new_object", func(r *relayreport.Source) { r.Stored++ }, false},
	} {
		step.change(&s.view.Report.Exports[0].Sources[0])
		run(t, f, s)
		if same := cmp.Equal(first.Sources, f.Status.Sources); same != step.quiet {
			t.Errorf("%s: %s", step.name, cmp.Diff(first.Sources, f.Status.Sources))
		}
	}
	if want := metav1.NewTime(minute.Add(time.Hour)); !f.Status.Sources[0].LastSuccessTime.Equal(&want) {
		t.Errorf("last success = %v", f.Status.Sources[0].LastSuccessTime)
	}
}

func TestWhatAServerSaysIsSafeToShow(t *testing.T) {
	f, s := sourced(relayreport.Source{Failing: noon, Error: "it says \x1b[31m" + strings.Repeat("é", 1000)})
	run(t, f, s)
	if got := f.Status.Sources[0].Message; len(got) > 1024 || strings.ContainsRune(got, 0x1b) || !utf8.ValidString(got) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// TestReasonsThatAStatusCannotTellApartAreOne: else the API server would take no status
// of the feed any more.
func TestReasonsThatAStatusCannotTellApartAreOne(t *testing.T) {
	long := "UnknownMarking: " + strings.Repeat("é", 100)
	f := feed(v1alpha1.FeedExport)
	run(t, f, world(&relayreport.Report{Exports: []relayreport.Export{{
		Name: "threats", Stored: 9, Peers: []relayreport.ExportPeer{{Peer: "bravo", Held: []relayreport.Held{
			{Reason: long + "a", Objects: 2}, {Reason: long + "b", Objects: 3}, {Reason: "Unmarked", Objects: 4}, {Objects: 1},
		}}},
	}}}))
	if got := f.Status.HeldReasons; len(got) != 2 || *got[0].Objects != 5 || len(got[0].Reason) > 128 || !utf8.ValidString(got[0].Reason) || *f.Status.Held != 10 {
		t.Errorf("held %d: %+v", *f.Status.Held, got)
	}
}
