// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// decideWithin is how long objects may wait for a decision before it is news:
// a push is decided within a second, a new rule over many objects takes longer.
const decideWithin = 10 * time.Second

// defaultInterval between two pulls, in seconds.
const defaultInterval = 60

// maxReasons that a status can hold.
const maxReasons = 32

// maxReason is the longest reason that it can hold, in bytes.
const maxReason = 128

// judgeExport says whether allowed objects can reach their peers.
func (s *seen) judgeExport(f *v1alpha1.SharedFeed, e *relayreport.Export, now time.Time) judgement {
	before := f.Status.Sources
	shared := s.count(f, e)
	tellSources(f, e.Sources, before)
	j := judgement{}
	j.fresh, j.again = s.decided(e)
	lacking, complete, again := fetched(f, e.Sources, now)
	if j.again = lookup.Soonest(j.again, again); !complete && (lacking.Status == metav1.ConditionFalse || j.fresh.Status != metav1.ConditionFalse) {
		j.fresh = lacking
	}
	switch {
	case e.Stored == 0:
		j.delivering = no(v1alpha1.ReasonNothingStored, nothingStored(f))
	case shared == 0 && e.Undecided > 0:
		j.delivering = status.Fact{Reason: v1alpha1.ReasonPending, Message: "the stored objects wait for a decision"}
	case shared == 0:
		j.delivering = no(v1alpha1.ReasonNothingAllowed, "the rule allows none of the stored objects to leave; status.heldReasons says why")
	default:
		j.delivering = yes(v1alpha1.ReasonExporting, offered(s.peersBy(f)))
	}
	return j
}

// decided says whether every stored object was decided under the current rule.
func (s *seen) decided(e *relayreport.Export) (status.Fact, time.Duration) {
	switch {
	case e.Error != "":
		return no(v1alpha1.ReasonDeciding, "deciding about stored objects did not succeed: "+e.Error), 0
	case e.Undecided == 0:
		return yes(v1alpha1.ReasonDecided, "every stored object was decided under the current rule"), 0
	case s.undecidedFor < decideWithin:
		// A moment after each push; no news.
		return status.Fact{Reason: v1alpha1.ReasonPending, Message: "stored objects wait for a decision"}, decideWithin - s.undecidedFor
	}
	return no(v1alpha1.ReasonDeciding, "stored objects wait for a decision under the current rule"), 0
}

// count fills the counts of an export and returns the number of objects shared.
// Where peers differ, the smallest number shared counts, and what is held is
// that of the same peer.
func (s *seen) count(f *v1alpha1.SharedFeed, e *relayreport.Export) int64 {
	clearCounts(f)
	f.Status.Stored = &e.Stored
	if len(e.Peers) == 0 {
		return 0
	}
	var refused int64
	for _, p := range e.Peers {
		refused += p.Refused
	}
	if refused > 0 {
		f.Status.Refused = &refused
	}
	least := slices.MinFunc(e.Peers, func(a, b relayreport.ExportPeer) int {
		switch {
		case a.Shared < b.Shared:
			return -1
		case a.Shared > b.Shared:
			return 1
		}
		return strings.Compare(a.Peer, b.Peer)
	})
	var held int64
	for i, h := range least.Held {
		held += h.Objects
		if i < maxReasons {
			addReason(f, h)
		}
	}
	f.Status.Shared, f.Status.Held = &least.Shared, &held
	if pulling(e.Sources) {
		roundCounts(f)
	}
	return least.Shared
}

// addReason counts what is held for a reason. Reasons that are the same as far as a
// status can hold them are one: the API server takes no list with a key twice.
func addReason(f *v1alpha1.SharedFeed, h relayreport.Held) {
	reason := status.OneLine(h.Reason)
	if len(reason) > maxReason {
		reason = strings.TrimSpace(strings.ToValidUTF8(reason[:maxReason], ""))
	}
	if reason == "" {
		return
	}
	for i := range f.Status.HeldReasons {
		if known := &f.Status.HeldReasons[i]; known.Reason == reason {
			sum := *known.Objects + h.Objects
			known.Objects = &sum
			return
		}
	}
	f.Status.HeldReasons = append(f.Status.HeldReasons, v1alpha1.HeldCount{Reason: reason, Objects: &h.Objects})
}

// roundCounts makes counts that grow all the time grow in steps.
func roundCounts(f *v1alpha1.SharedFeed) {
	counts := []**int64{&f.Status.Stored, &f.Status.Shared, &f.Status.Held}
	for i := range f.Status.HeldReasons {
		counts = append(counts, &f.Status.HeldReasons[i].Objects)
	}
	for _, count := range counts {
		if *count != nil {
			rounded := step(**count)
			*count = &rounded
		}
	}
}

// nothingStored says how objects come into the sources of an export.
func nothingStored(f *v1alpha1.SharedFeed) string {
	for _, s := range f.Spec.Export.Sources {
		if s.Pull == nil {
			return "no object has been pushed into a source of this feed yet; push some, for example with kubectl certlink feed push"
		}
	}
	return "no object has been fetched from a source of this feed yet; status.sources says how far that is"
}

// judgeImport says whether the peer's collection arrives.
func (s *seen) judgeImport(f *v1alpha1.SharedFeed, i *relayreport.Import, now time.Time) judgement {
	clearCounts(f)
	f.Status.Stored = &i.Stored
	if i.Withdrawn > 0 {
		f.Status.Withdrawn = &i.Withdrawn
	}
	if !i.Progress.Started.IsZero() {
		roundCounts(f)
	}
	peer := f.Spec.Import.PeerRef.Name
	j := judgement{}
	j.fresh, j.again = pulled(f, i, now)
	undelivered := s.deliveries(f)
	switch {
	case i.QuotaReached:
		j.delivering = no(v1alpha1.ReasonQuotaReached, "the feed holds spec.import.maxObjects objects and takes no more; raise it, or import less")
	case !i.Failing.IsZero() || i.Error != "":
		j.delivering = no(v1alpha1.ReasonPullFailed, "the last pull did not succeed: "+i.Error)
	case i.LastSuccess.IsZero():
		j.delivering = status.Fact{Reason: v1alpha1.ReasonPending, Message: "the first pull has not ended yet"}
	case undelivered != nil:
		j.delivering = *undelivered
	default:
		j.delivering = yes(v1alpha1.ReasonPulled, fmt.Sprintf("the collection of %s is pulled and served on the local port", peer))
	}
	return j
}

// pulled says whether the last successful pull is recent enough: three intervals
// and a minute, to which the report rounds.
func pulled(f *v1alpha1.SharedFeed, i *relayreport.Import, now time.Time) (status.Fact, time.Duration) {
	interval := time.Duration(defaultInterval) * time.Second
	if s := f.Spec.Import.IntervalSeconds; s != nil {
		interval = time.Duration(*s) * time.Second
	}
	allowed := 3*interval + 2*time.Minute
	failing := !i.Failing.IsZero()
	switch {
	case !failing && !i.LastSuccess.IsZero():
		// A report that stands still says that pulls go on succeeding.
		return yes(v1alpha1.ReasonPulled, "pulls succeed"), 0
	case i.LastSuccess.IsZero() && !failing:
		return status.Fact{Reason: v1alpha1.ReasonPending, Message: "the first pull has not ended yet"}, 0
	case i.LastSuccess.IsZero():
		return no(v1alpha1.ReasonPullFailed, "no pull has succeeded yet: "+i.Error), 0
	}
	age := now.Sub(i.LastSuccess)
	if age <= allowed {
		return yes(v1alpha1.ReasonPulled, "the last successful pull is recent enough"), allowed - age + time.Second
	}
	return no(v1alpha1.ReasonPullFailed, fmt.Sprintf("the last successful pull was at %s: %s", i.LastSuccess.UTC().Format(time.RFC3339), i.Error)), 0
}

func yes(reason, message string) status.Fact {
	return status.Fact{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func no(reason, message string) status.Fact {
	return status.Fact{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}
