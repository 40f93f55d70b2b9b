// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package link judges the link to a peer by our relay's report. It is pure:
// PeerCERT's Connected and Hotline's Reachable come from the same judgement.
package link

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/report"
)

// Defaults of the detection budget.
const (
	defaultInterval = 1000 * time.Millisecond
	defaultMisses   = 3
	leastTimeout    = 2 * time.Second
)

// settle is how long a relay that has just started, or has just taken up a
// peer, may need beyond the detection budget before Unknown is news.
const settle = 5 * time.Second

// Detection is the worst case from a cut to its detection, as DetectionBudget
// documents it.
func Detection(b v1alpha1.DetectionBudget) time.Duration {
	interval, misses := defaultInterval, int32(defaultMisses)
	if b.IntervalMilliseconds != nil {
		interval = time.Duration(*b.IntervalMilliseconds) * time.Millisecond
	}
	if b.Misses != nil {
		misses = *b.Misses
	}
	return interval*time.Duration(misses+1) + max(interval, leastTimeout)
}

// Find returns what a report says of a peer, nil if it says nothing.
func Find(r *report.Report, name string) *report.Peer {
	if r == nil {
		return nil
	}
	for i := range r.Peers {
		if r.Peers[i].Name == name {
			return &r.Peers[i]
		}
	}
	return nil
}

// Connected judges the link to a peer. The duration says when to look again;
// zero waits for news.
func Connected(v reports.View, p *v1alpha1.PeerCERT, now time.Time) (status.Fact, time.Duration) {
	if p.Spec.State == v1alpha1.PeerRevoked {
		return status.Fact{
			Status:  metav1.ConditionFalse,
			Reason:  v1alpha1.ReasonRevoked,
			Message: "spec.state is Revoked: our relay accepts nothing from the peer and sends it nothing",
		}, 0
	}
	if fact, blind := unseen(v); blind {
		return fact, 0
	}
	waited := now.Sub(latest(v.Report.StartedAt, v.WrittenAt))
	patience := Detection(p.Spec.Detection) + settle
	seen := Find(v.Report, p.Name)
	if seen == nil || undecided(seen, p) {
		if waited < patience {
			return status.Fact{Reason: v1alpha1.ReasonPending, Message: "our relay has not probed the peer yet"}, patience - waited
		}
		return status.Fact{
			Status:  metav1.ConditionUnknown,
			Reason:  v1alpha1.ReasonUnknown,
			Message: "our relay cannot tell yet whether the peer is there; see the conditions of the LocalCERT",
		}, 0
	}
	return judge(seen, p), 0
}

// unseen says what can be said without a report.
func unseen(v reports.View) (status.Fact, bool) {
	switch v.Contact {
	case reports.Reached:
		return status.Fact{}, false
	case reports.Undeployed:
		return status.Fact{
			Status:  metav1.ConditionUnknown,
			Reason:  v1alpha1.ReasonRelayUnreachable,
			Message: "our relay does not run yet; the conditions of the LocalCERT say why",
		}, true
	case reports.Lost:
		return status.Fact{
			Status:  metav1.ConditionUnknown,
			Reason:  v1alpha1.ReasonRelayUnreachable,
			Message: "the operator cannot read the report of our relay, so it cannot tell; the link itself may be up: " + v.Error,
		}, true
	case reports.Unseen, reports.Calling:
	}
	return status.Fact{Reason: v1alpha1.ReasonPending, Message: "waiting for the first report of our relay"}, true
}

// undecided tells whether the relay cannot say whether the link is up or down.
func undecided(seen *report.Peer, p *v1alpha1.PeerCERT) bool {
	if seen.Outbound.State == report.Down || seen.Inbound.State == report.Down {
		return false
	}
	if len(p.Spec.Endpoints) == 0 {
		return seen.Inbound.State != report.Up
	}
	return seen.Outbound.State != report.Up || seen.Inbound.State != report.Up
}

// judge says what a decided report says. A peer without endpoints dials us, so
// its direction alone counts.
func judge(seen *report.Peer, p *v1alpha1.PeerCERT) status.Fact {
	if len(p.Spec.Endpoints) == 0 {
		return inboundOnly(seen)
	}
	down := seen.Outbound
	if down.State != report.Down {
		down = seen.Inbound
		if down.Cause == report.CauseNone {
			down.Cause = report.CauseSilent
		}
	}
	if down.State != report.Down {
		return status.Fact{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProbesAnswered, Message: "probes are answered in both directions"}
	}
	return status.Fact{Status: metav1.ConditionFalse, Reason: Reason(down.Cause), Message: message(down)}
}

func inboundOnly(seen *report.Peer) status.Fact {
	if seen.Inbound.State == report.Up {
		return status.Fact{
			Status:  metav1.ConditionTrue,
			Reason:  v1alpha1.ReasonProbesAnswered,
			Message: "the peer's probes reach us; it has no endpoint for ours",
		}
	}
	down := seen.Inbound
	if down.Cause == report.CauseNone || down.Cause == report.CauseSilent {
		down.Cause = report.CauseNoEndpoints
	}
	return status.Fact{Status: metav1.ConditionFalse, Reason: Reason(down.Cause), Message: message(down)}
}

// causes maps the words of the report to those of the API, with what to say
// when the relay said nothing.
var causes = map[report.Cause]struct{ reason, hint string }{
	report.CauseUnreachable: {v1alpha1.ReasonAddressUnreachable,
		"no endpoint of the peer accepts a connection; check spec.endpoints, the way there, and whether their relay runs"},
	report.CauseUntrusted: {v1alpha1.ReasonPeerCertificateUntrusted,
		"the peer's certificate does not chain to spec.trust; ask the peer for its card and compare the fingerprint"},
	report.CauseTrustDomain: {v1alpha1.ReasonPeerTrustDomainMismatch,
		"the certificate at the peer's endpoint names another trust domain; check spec.endpoints and spec.identity.trustDomain"},
	report.CauseExpired: {v1alpha1.ReasonPeerCertificateExpired,
		"a certificate of the peer, or of spec.trust, is outside its validity; ask the peer to renew it, or for its new card"},
	report.CauseRefused: {v1alpha1.ReasonPeerRefusedUs,
		"the peer refused our certificate; ask the peer to check its PeerCERT about us against our card (status.card of our LocalCERT)"},
	report.CauseSilent: {v1alpha1.ReasonPeerSilent,
		"we reach the peer, but its probes do not reach us; ask the peer to check its PeerCERT about us: our address, and its way to us"},
	report.CauseProtocol: {v1alpha1.ReasonProtocolError,
		"what answers at the peer's endpoint does not speak this protocol; check the address and port in spec.endpoints"},
	report.CauseNoEndpoints: {v1alpha1.ReasonNoEndpoints,
		"spec.endpoints is empty and the peer has not reached us; add an endpoint, or ask the peer to dial us"},
}

// Reason of a cause in the report.
func Reason(cause report.Cause) string {
	if c, ok := causes[cause]; ok {
		return c.reason
	}
	return v1alpha1.ReasonUnknown
}

func message(d report.Direction) string {
	if d.Message != "" {
		return d.Message
	}
	if c, ok := causes[d.Cause]; ok {
		return c.hint
	}
	return fmt.Sprintf("our relay reports %q", d.Cause)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
