// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/link"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/card"
	relayreport "github.com/certlink/certlink/relay/report"
)

// Bounds of what the status holds; parts of it come from the peer.
const (
	maxPaths   = 16
	maxWord    = 32
	maxText    = 64
	maxPrint   = 128
	maxAddress = 261
)

// flicker is how long a path may be Suspect before the status says so: on a bad
// line that comes and goes, and nobody would act on it.
const flicker = 10 * time.Second

// declared fills what follows from the spec alone.
func declared(p *v1alpha1.PeerCERT, s *seen) {
	p.Status.Fingerprint = ""
	if certs, err := card.Certificates(s.bundle.PEM); err == nil {
		p.Status.Fingerprint = card.Fingerprint(p.Spec.Identity.TrustDomain, certs)
	}
}

// describe fills what our relay proved of the link and heard from the peer;
// while its report cannot be read, and until it has heard of the peer again
// after a restart, the last word stands.
func describe(p *v1alpha1.PeerCERT, found *relayreport.Peer, edit *status.Editor, connected, accepted status.Fact) {
	p.Status.DetectionMilliseconds = detection(p, found)
	if p.Spec.State == v1alpha1.PeerRevoked {
		forget(p)
		return
	}
	if found == nil {
		return
	}
	if found.TLS != nil {
		p.Status.TLS = &v1alpha1.PeerTLS{
			Version:      text(found.TLS.Version, maxWord),
			Group:        text(found.TLS.Group, maxText),
			PeerNotAfter: status.Time(found.TLS.PeerNotAfter),
		}
	}
	if found.Trust != nil {
		p.Status.Trust = trust(p.Spec.Identity.TrustDomain, found.Trust)
	}
	if found.Offer != nil {
		p.Status.ProtocolVersion = max(found.Offer.Version, 0)
		was := edit.Get(v1alpha1.ConditionPeerAccepted)
		moved := accepted.Reason == v1alpha1.ReasonOfferStale || was != nil && was.Reason == v1alpha1.ReasonOfferStale
		p.Status.PeerReport = said(found.Offer, p.Status.PeerReport, moved)
	}
	if connected.Status != "" {
		p.Status.Paths = paths(found.Paths, p.Status.Paths, edit.Now())
	}
}

// forget takes out what was known of a peer with which there is no link.
func forget(p *v1alpha1.PeerCERT) {
	p.Status.DetectionMilliseconds = link.Budget(p.Spec.Detection).Milliseconds()
	p.Status.TLS, p.Status.Paths, p.Status.Trust, p.Status.PeerReport = nil, nil, nil, nil
	p.Status.ProtocolVersion = 0
}

// detection is the worst case as the relay computed it, at least the budget. For
// the same spec it rises at once, but falls only by a quarter: a round trip at
// the edge of a step is no news.
func detection(p *v1alpha1.PeerCERT, found *relayreport.Peer) int64 {
	is, was := link.Budget(p.Spec.Detection).Milliseconds(), p.Status.DetectionMilliseconds
	measured := found != nil && found.DetectionMilliseconds > 0
	if measured {
		is = max(is, found.DetectionMilliseconds)
	}
	if p.Status.ObservedGeneration == p.Generation && is < was && (!measured || 4*is > 3*was) {
		return was
	}
	return is
}

func trust(trustDomain string, t *relayreport.Trust) *v1alpha1.PeerTrustStatus {
	if t.Fingerprint == "" {
		return nil
	}
	out := &v1alpha1.PeerTrustStatus{
		Fingerprint:        text(t.Fingerprint, maxPrint),
		Source:             v1alpha1.TrustFromSpec,
		OfferedFingerprint: text(t.OfferedFingerprint, maxPrint),
	}
	if t.Learned {
		out.Source = v1alpha1.TrustFromOffer
		out.LearnedTime = status.Time(t.LearnedAt)
	}
	// What a person is to paste has the fingerprint that is compared over the telephone.
	certs, err := card.Certificates(t.OfferedBundle)
	if err == nil && card.SameFingerprint(card.Fingerprint(trustDomain, certs), t.OfferedFingerprint) {
		out.OfferedBundle = card.Bundle(certs)
	}
	return out
}

// said is the peer's own view. Its time moves with its content, and when offers
// begin or cease to stay away.
func said(o *relayreport.Offer, was *v1alpha1.PeerReport, moved bool) *v1alpha1.PeerReport {
	ups, at := max(o.PathsUp, 0), metav1.NewTime(o.ReceivedAt.Truncate(time.Second))
	is := &v1alpha1.PeerReport{
		State:           peerState(o.State),
		Outbound:        pathState(o.Outbound),
		Inbound:         pathState(o.Inbound),
		PathsUp:         &ups,
		Release:         text(o.Release, maxText),
		CardFingerprint: text(o.Card, maxPrint),
		ObservedTime:    &at,
	}
	if was != nil && !moved {
		same := *is
		same.ObservedTime, same.PathsUp = was.ObservedTime, was.PathsUp
		if was.PathsUp != nil && *was.PathsUp == ups && same == *was {
			is.ObservedTime = was.ObservedTime
		}
	}
	return is
}

// peerState keeps words of a newer release out of the status, which knows ours.
func peerState(state string) string {
	switch s := v1alpha1.PeerState(state); s {
	case v1alpha1.PeerActive, v1alpha1.PeerSuspended, v1alpha1.PeerDrained, v1alpha1.PeerRevoked:
		return state
	}
	return string(v1alpha1.PathUnknown)
}

func pathState(state relayreport.State) v1alpha1.PathState {
	switch s := v1alpha1.PathState(state); s {
	case v1alpha1.PathUp, v1alpha1.PathSuspect, v1alpha1.PathRecovering, v1alpha1.PathDown:
		return s
	case v1alpha1.PathUnknown:
	}
	return v1alpha1.PathUnknown
}

// paths as the status has them, in the order of the report, each once.
func paths(list []relayreport.PathState, before []v1alpha1.PeerPath, now time.Time) []v1alpha1.PeerPath {
	var out []v1alpha1.PeerPath
	for _, from := range list {
		is := v1alpha1.PeerPath{
			Address:   text(from.Address, maxAddress),
			Direction: v1alpha1.PathDialed,
			State:     pathState(from.State),
			SinceTime: status.Time(from.Since),
		}
		if from.Outbound != "" {
			is.Outbound = pathState(from.Outbound)
		}
		if from.Inbound != "" {
			is.Inbound = pathState(from.Inbound)
		}
		if from.Accepted {
			is.Direction = v1alpha1.PathAccepted
		}
		if from.State != relayreport.Up {
			is.Message = status.OneLine(from.Message)
		}
		same := func(other v1alpha1.PeerPath) bool {
			return other.Address == is.Address && other.Direction == is.Direction
		}
		if len(out) == maxPaths || is.Address == "" || slices.ContainsFunc(out, same) {
			continue
		}
		if i := slices.IndexFunc(before, same); i >= 0 && from.State == relayreport.Suspect && now.Sub(from.Since) < flicker {
			is = before[i]
		}
		out = append(out, is)
	}
	return out
}

// flickering is when the status must say of a path that it is Suspect, if it
// still is; zero when it says so already.
func flickering(found *relayreport.Peer, now time.Time) time.Duration {
	var soonest time.Duration
	if found == nil {
		return 0
	}
	for _, path := range found.Paths {
		if left := flicker - now.Sub(path.Since); path.State == relayreport.Suspect && left > 0 {
			soonest = lookup.Soonest(soonest, left)
		}
	}
	return soonest
}

// text bounds words of a peer to what the status can hold.
func text(words string, limit int) string {
	words = status.OneLine(words)
	if len(words) <= limit {
		return words
	}
	return status.OneLine(words[:limit])
}
