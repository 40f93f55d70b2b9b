// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"crypto/x509"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/link"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// report writes what was seen into the status. It is pure.
func report(p *v1alpha1.PeerCERT, s *seen, edit *status.Editor, now time.Time) loop.Outcome {
	declared(p, s)
	fault := barred(p, s)
	if fault != nil && !kept(p, s, fault) {
		leftOut(p, fault, edit)
		return loop.Outcome{Verdict: *fault}
	}
	found := link.Find(s.view.Report, p.Name)
	connected, again := link.Connected(s.view, p, now)
	accepted, later := peerAccepted(p, s, now)
	trusted, _ := trustInSync(p, s, now) // looks again when accepted does
	describe(p, found, edit, connected, accepted)
	edit.Put(v1alpha1.ConditionConnected, connected)
	edit.Put(v1alpha1.ConditionRedundant, link.Redundant(connected, found))
	edit.Put(v1alpha1.ConditionPeerAccepted, accepted)
	edit.Put(v1alpha1.ConditionTrustInSync, trusted)
	edit.Put(v1alpha1.ConditionSuspended, suspended(p, s, edit))
	again = lookup.Soonest(lookup.Soonest(again, later), flickering(found, now))

	want := relayconfig.Peer(p, s.bundle.PEM)
	verdict, later := reports.Standing(s.view, want, func(c *config.Config) (config.Peer, bool) { return find(c, p.Name) },
		edit.Holds(v1alpha1.ConditionReady, metav1.ConditionTrue), now)
	again = lookup.Soonest(again, later)
	expired, end := expiry(s.bundle, now)
	if expired != nil && !learned(found) {
		verdict = *expired
	}
	if fault != nil {
		verdict = *fault
		verdict.Message += "; until then our relay goes on with the bundle that it has"
	}
	if !end.IsZero() {
		again = lookup.Soonest(again, end.Sub(now)+time.Second)
	}
	return loop.Outcome{Verdict: verdict, Again: again}
}

// pending gives a PeerCERT that could not be looked at the conditions that it
// lacks.
func pending(edit *status.Editor) {
	for _, condition := range []string{
		v1alpha1.ConditionConnected, v1alpha1.ConditionRedundant, v1alpha1.ConditionPeerAccepted,
		v1alpha1.ConditionTrustInSync, v1alpha1.ConditionSuspended,
	} {
		edit.Put(condition, status.Fact{Reason: v1alpha1.ReasonPending, Message: "the first look has not ended"})
	}
}

// leftOut writes the status of a peer that is not part of our relay's
// configuration: our relay accepts nothing from it.
func leftOut(p *v1alpha1.PeerCERT, fault *status.Verdict, edit *status.Editor) {
	no := status.Fact{Status: metav1.ConditionFalse, Reason: fault.Reason, Message: fault.Message}
	open := status.Fact{Status: metav1.ConditionUnknown, Reason: fault.Reason, Message: fault.Message}
	edit.Put(v1alpha1.ConditionConnected, no)
	edit.Put(v1alpha1.ConditionRedundant, no)
	edit.Put(v1alpha1.ConditionPeerAccepted, open)
	edit.Put(v1alpha1.ConditionTrustInSync, open)
	edit.Put(v1alpha1.ConditionSuspended, suspended(p, &seen{}, edit))
	forget(p)
}

// barred says why the peer is not part of our relay's configuration.
func barred(p *v1alpha1.PeerCERT, s *seen) *status.Verdict {
	if s.local == nil {
		v := lookup.NoLocal()
		return &v
	}
	return relayconfig.PeerFault(p, s.local, s.bundle, s.siblings)
}

// kept tells whether our relay goes on with the bundle that it has, while the declared one
// cannot be used.
func kept(p *v1alpha1.PeerCERT, s *seen, fault *status.Verdict) bool {
	if fault.Reason != v1alpha1.ReasonBundleNotFound && fault.Reason != v1alpha1.ReasonBundleInvalid || s.view.Wanted == nil {
		return false
	}
	wanted, ok := find(s.view.Wanted, p.Name)
	return ok && wanted.TrustDomain == p.Spec.Identity.TrustDomain
}

// suspended says what spec.state holds back, and of a peer that is drained how
// far that is.
func suspended(p *v1alpha1.PeerCERT, s *seen, edit *status.Editor) status.Fact {
	held := func(reason, message string) status.Fact {
		return status.Fact{Status: metav1.ConditionTrue, Reason: reason, Message: message}
	}
	switch p.Spec.State {
	case v1alpha1.PeerSuspended:
		return held(v1alpha1.ReasonSuspended, "spec.state is Suspended: feeds and services are held back in both directions; the hotline and heartbeats go on")
	case v1alpha1.PeerRevoked:
		return held(v1alpha1.ReasonRevoked, "spec.state is Revoked: nothing is accepted from the peer or sent to it")
	case v1alpha1.PeerDrained:
		open, known := tunnels(p, s)
		switch {
		case !known && edit.Holds(v1alpha1.ConditionSuspended, metav1.ConditionTrue):
			return status.Fact{} // the last word stands
		case !known:
			return held(v1alpha1.ReasonDraining, "spec.state is Drained: feeds are held back and no tunnel is opened; our relay has not said yet how many are open")
		case open > 0:
			return held(v1alpha1.ReasonDraining, fmt.Sprintf("spec.state is Drained: feeds are held back and no tunnel is opened; %s still open. "+
				"They end in their own time; set spec.state to Suspended to cut them", roughly(open)))
		}
		return held(v1alpha1.ReasonDrained, "spec.state is Drained: feeds are held back and no tunnel is open; the hotline and heartbeats go on")
	case v1alpha1.PeerActive:
	}
	return status.Fact{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonActive, Message: "nothing is held back"}
}

// tunnels that are still open, known once our relay drains.
func tunnels(p *v1alpha1.PeerCERT, s *seen) (int64, bool) {
	found := link.Find(s.view.Report, p.Name)
	if s.view.Contact != reports.Reached || found == nil || found.State != string(v1alpha1.PeerDrained) {
		return 0, false
	}
	return found.Tunnels, true
}

// roughly counts tunnels in steps, so that a thousand that end one by one are
// not a thousand writes.
func roughly(tunnels int64) string {
	switch {
	case tunnels == 1:
		return "1 tunnel is"
	case tunnels <= 10:
		return fmt.Sprintf("%d tunnels are", tunnels)
	case tunnels <= 100:
		return "more than 10 tunnels are"
	}
	return "more than 100 tunnels are"
}

// learned tells whether the bundle in force came from the peer's offer, so that
// the one in the spec need not be valid any more.
func learned(found *relayreport.Peer) bool {
	return found != nil && found.Trust != nil && found.Trust.Learned
}

func find(c *config.Config, name string) (config.Peer, bool) {
	for _, p := range c.Peers {
		if p.Name == name {
			return p, true
		}
	}
	return config.Peer{}, false
}

// expiry says that no certificate of the bundle is valid now, or when the next
// one ends. The peer stays part of the configuration: the relay refuses it by
// itself, and what waits for it is kept.
func expiry(bundle relayconfig.Bundle, now time.Time) (*status.Verdict, time.Time) {
	certs, err := card.Certificates(bundle.PEM)
	if err != nil {
		return nil, time.Time{}
	}
	var next time.Time
	var last *x509.Certificate
	for _, c := range certs {
		if c.NotAfter.After(now) && !c.NotBefore.After(now) && (next.IsZero() || c.NotAfter.Before(next)) {
			next = c.NotAfter
		}
		if last == nil || c.NotAfter.After(last.NotAfter) {
			last = c
		}
	}
	if !next.IsZero() {
		return nil, next
	}
	return &status.Verdict{
		Fate:   status.Stalled,
		Reason: v1alpha1.ReasonPeerCertificateExpired,
		Message: fmt.Sprintf("spec.trust: no CA certificate of the peer is valid now (the last is valid from %s to %s); ask the peer for its new card",
			last.NotBefore.UTC().Format(time.RFC3339), last.NotAfter.UTC().Format(time.RFC3339)),
	}, time.Time{}
}
