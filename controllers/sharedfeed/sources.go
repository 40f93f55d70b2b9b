// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// defaultSourceInterval between two pulls of a source, in seconds.
const defaultSourceInterval = 300

// tellSources writes what became of the sources that our relay fetches. Before is what
// the status had: a time that alone has moved on is no news.
func tellSources(f *v1alpha1.SharedFeed, sources []relayreport.Source, before []v1alpha1.SourceStatus) {
	f.Status.Sources = nil
	for i := range sources {
		now := sourceStatus(&sources[i])
		for _, old := range before {
			if quiet := now; old.Name == now.Name && now.Message == "" && old.LastSuccessTime != nil && now.LastSuccessTime != nil {
				if quiet.LastSuccessTime = old.LastSuccessTime; same(old, quiet) {
					now = quiet
				}
			}
		}
		f.Status.Sources = append(f.Status.Sources, now)
	}
}

func sourceStatus(s *relayreport.Source) v1alpha1.SourceStatus {
	stored := s.Stored
	out := v1alpha1.SourceStatus{Name: s.Name, Stored: &stored, Message: status.OneLine(s.Error)}
	if !s.LastSuccess.IsZero() {
		t := metav1.NewTime(s.LastSuccess.UTC())
		out.LastSuccessTime = &t
	}
	if refused := s.Refused; refused > 0 {
		out.Refused = &refused
	}
	if !s.Progress.Started.IsZero() {
		*out.Stored = step(stored)
		if percent := s.Progress.Percent; percent > 0 {
			out.Percent = &percent
		}
	}
	return out
}

func same(a, b v1alpha1.SourceStatus) bool {
	return deref(a.Stored) == deref(b.Stored) && deref(a.Refused) == deref(b.Refused) && deref(a.Percent) == deref(b.Percent) &&
		a.Message == b.Message && a.LastSuccessTime.Equal(b.LastSuccessTime)
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// step rounds down to 1, 2 or 5 times a power of ten.
func step(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		switch {
		case n < 2*unit:
			return n / unit * unit
		case n < 5*unit:
			return 2 * unit
		case n < 10*unit:
			return 5 * unit
		}
	}
}

// pulling tells whether a long pull goes on into a source.
func pulling(sources []relayreport.Source) bool {
	for i := range sources {
		if !sources[i].Progress.Started.IsZero() {
			return true
		}
	}
	return false
}

// fetched says whether every source that our relay fetches was fetched lately: false
// where it holds that back, and the fact says why.
func fetched(f *v1alpha1.SharedFeed, sources []relayreport.Source, now time.Time) (status.Fact, bool, time.Duration) {
	var again time.Duration
	for i := range sources {
		s := &sources[i]
		interval := sourceInterval(f, s.Name)
		switch {
		case s.QuotaReached:
			return no(v1alpha1.ReasonQuotaReached, fmt.Sprintf("source %q holds maxObjects objects and takes no more; raise it, or fetch less", s.Name)), false, again
		case s.Failing.IsZero():
			continue
		case s.LastSuccess.IsZero():
			return no(v1alpha1.ReasonSourceFailed, fmt.Sprintf("source %q was never fetched: %s", s.Name, s.Error)), false, again
		}
		// One pull that fails is no news yet.
		allowed, age := 3*interval+2*time.Minute, now.Sub(s.LastSuccess)
		if age > allowed {
			return no(v1alpha1.ReasonSourceFailed, fmt.Sprintf("source %q was last fetched at %s: %s", s.Name, s.LastSuccess.UTC().Format(time.RFC3339), s.Error)), false, again
		}
		again = lookup.Soonest(again, allowed-age+time.Second)
	}
	for _, s := range f.Spec.Export.Sources {
		if s.Pull != nil && !everFetched(s.Name, sources) {
			return status.Fact{
				Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending,
				Message: fmt.Sprintf("the first pull of source %q has not ended yet", s.Name),
			}, false, again
		}
	}
	return status.Fact{}, true, again
}

// everFetched tells whether a pull of a source has ever ended without error.
func everFetched(name string, sources []relayreport.Source) bool {
	for i := range sources {
		if sources[i].Name == name {
			return !sources[i].LastSuccess.IsZero()
		}
	}
	return false
}

func sourceInterval(f *v1alpha1.SharedFeed, name string) time.Duration {
	for _, s := range f.Spec.Export.Sources {
		if s.Name == name && s.Pull != nil && s.Pull.IntervalSeconds != nil {
			return time.Duration(*s.Pull.IntervalSeconds) * time.Second
		}
	}
	return defaultSourceInterval * time.Second
}
