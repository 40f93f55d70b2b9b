// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// seen is everything that the status of a SharedFeed depends on.
type seen struct {
	local *v1alpha1.LocalCERT
	peers map[string]*v1alpha1.PeerCERT // those named, as far as they exist
	view  reports.View
	// references are the Secrets and ConfigMaps that the feed names; there, those of
	// them that exist.
	references   []relayconfig.Reference
	there        relayconfig.Keys
	undecidedFor time.Duration
}

// report writes what was seen into the status. It is pure.
func report(f *v1alpha1.SharedFeed, s *seen, edit *status.Editor, now time.Time) loop.Outcome {
	verdict, again := s.verdict(f, edit, now)
	judgement := s.judge(f, now)
	edit.Put(v1alpha1.ConditionDelivering, judgement.delivering)
	edit.Put(v1alpha1.ConditionFresh, judgement.fresh)
	s.quarantined(f, edit)
	accepted, later := s.accepted(f, now)
	edit.Put(v1alpha1.ConditionPeerAccepted, accepted)
	again = lookup.Soonest(again, later)
	return loop.Outcome{Verdict: verdict, Again: lookup.Soonest(again, judgement.again)}
}

// verdict about our own side: the feed is part of what our relay runs.
func (s *seen) verdict(f *v1alpha1.SharedFeed, edit *status.Editor, now time.Time) (status.Verdict, time.Duration) {
	if s.local == nil {
		return lookup.NoLocal(), 0
	}
	usable := s.usable()
	if s.view.Wanted == nil {
		// This operator has not assembled the configuration yet, so it cannot tell
		// which peers are part of it.
		usable = s.exists
	}
	if fault := relayconfig.FeedFault(f, s.exists, usable); fault != nil {
		return *fault, 0
	}
	if fault := relayconfig.ReservedFault(s.references, s.local.Name); fault != nil {
		return *fault, 0
	}
	if fault := relayconfig.ReferenceFault(s.references, s.there); fault != nil {
		return *fault, 0
	}
	wasReady := edit.Holds(v1alpha1.ConditionReady, metav1.ConditionTrue)
	if f.Spec.Direction == v1alpha1.FeedImport {
		return reports.Standing(s.view, relayconfig.Import(f), func(c *config.Config) (config.Import, bool) {
			return find(c.Imports, func(i config.Import) bool { return i.Name == f.Name })
		}, wasReady, now)
	}
	return reports.Standing(s.view, relayconfig.Export(f, usable), func(c *config.Config) (config.Export, bool) {
		return find(c.Exports, func(e config.Export) bool { return e.Name == f.Name })
	}, wasReady, now)
}

// judgement is what the relay's report says about a feed.
type judgement struct {
	delivering, fresh status.Fact
	again             time.Duration
}

// judge turns the report into conditions and counts. What we hold back ourselves needs no report.
func (s *seen) judge(f *v1alpha1.SharedFeed, now time.Time) judgement {
	j := s.reported(f, now)
	if fact, held := s.held(f); held {
		j.delivering = fact
		if f.Spec.Direction == v1alpha1.FeedImport {
			j.fresh, j.again = fact, 0 // no pull is made, and what the last one brought grows old
		}
	}
	return j
}

// reported is what the report says.
func (s *seen) reported(f *v1alpha1.SharedFeed, now time.Time) judgement {
	if fact, blind := s.blind(); blind {
		return judgement{delivering: fact, fresh: fact}
	}
	if f.Spec.Direction == v1alpha1.FeedImport {
		if i := s.imported(f.Name); i != nil {
			return s.judgeImport(f, i, now)
		}
	} else if e := s.exported(f.Name); e != nil {
		return s.judgeExport(f, e, now)
	}
	clearCounts(f)
	absent := status.Fact{
		Status:  metav1.ConditionUnknown,
		Reason:  v1alpha1.ReasonPending,
		Message: "our relay does not run this feed yet; the condition Ready says why",
	}
	return judgement{delivering: absent, fresh: absent}
}

// blind says what can be said without a report.
func (s *seen) blind() (status.Fact, bool) {
	switch s.view.Contact {
	case reports.Reached:
		return status.Fact{}, false
	case reports.Undeployed:
		return unknown("our relay does not run yet; the conditions of the LocalCERT say why"), true
	case reports.Lost:
		return unknown("the operator cannot read the report of our relay, so it cannot tell; the feed itself may go on: " + s.view.Error), true
	case reports.Unseen, reports.Calling:
	}
	return status.Fact{Reason: v1alpha1.ReasonPending, Message: "waiting for the first report of our relay"}, true
}

func unknown(message string) status.Fact {
	return status.Fact{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRelayUnreachable, Message: message}
}

func (s *seen) exists(peer string) bool { return s.peers[peer] != nil }

// usable tells which peers are part of the configuration.
func (s *seen) usable() func(string) bool {
	names := map[string]bool{}
	if s.view.Wanted != nil {
		for _, p := range s.view.Wanted.Peers {
			names[p.Name] = true
		}
	}
	return func(peer string) bool { return names[peer] }
}

// exported is what the relay says of an export, nil if it says nothing.
func (s *seen) exported(name string) *relayreport.Export {
	if s.view.Report == nil {
		return nil
	}
	for i := range s.view.Report.Exports {
		if e := &s.view.Report.Exports[i]; e.Name == name {
			return e
		}
	}
	return nil
}

// imported is what the relay says of an import, nil if it says nothing.
func (s *seen) imported(name string) *relayreport.Import {
	if s.view.Report == nil {
		return nil
	}
	for i := range s.view.Report.Imports {
		if m := &s.view.Report.Imports[i]; m.Name == name {
			return m
		}
	}
	return nil
}

func find[T any](list []T, match func(T) bool) (T, bool) {
	for _, element := range list {
		if match(element) {
			return element, true
		}
	}
	var none T
	return none, false
}

func clearCounts(f *v1alpha1.SharedFeed) {
	f.Status.Stored, f.Status.Shared, f.Status.Held, f.Status.HeldReasons, f.Status.Sources, f.Status.Deliveries = nil, nil, nil, nil, nil, nil
	f.Status.Refused, f.Status.Withdrawn = nil, nil
}
